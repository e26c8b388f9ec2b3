"""A small trained scorer (Cappy): its data, its training, its use."""
