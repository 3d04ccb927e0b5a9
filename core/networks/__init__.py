"""What networks are built of: layers of any rank, patches, transformer blocks."""
