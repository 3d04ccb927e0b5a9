"""New plugins: a small project that an author goes on from."""
