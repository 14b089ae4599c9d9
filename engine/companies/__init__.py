"""Who keeps companies up to date: what contacts count for, what companies add up to, and who hears of it."""
