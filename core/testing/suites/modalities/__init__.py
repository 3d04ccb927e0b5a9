"""The suite of modalities, and its checks of items, of data sets and of files."""
