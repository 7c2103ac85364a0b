"""Work on splits: validate, describe, convert, merge, cut and browse them."""
