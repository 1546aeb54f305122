"""The outcomes, fates and types that ledger and ratings share."""
