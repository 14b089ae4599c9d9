"""What colleagues are told: notices by e-mail, Slack and webhook, mails about accounts."""
