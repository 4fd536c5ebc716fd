"""What an account quotes from: its clients, its items and their categories."""
