"""What a run can do to the world: channels and their providers, rendering, webhooks, notifications, custom activities."""
