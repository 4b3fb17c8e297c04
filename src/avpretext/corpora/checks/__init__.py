"""The check of a corpus before anything runs: what its files hold, and what is wrong with them."""
