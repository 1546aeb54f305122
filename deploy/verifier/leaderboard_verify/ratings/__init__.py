"""Bradley-Terry ratings, as far as a verification needs them."""
