"""Work on splits: validate, describe, convert, merge, cut, group and browse them."""
