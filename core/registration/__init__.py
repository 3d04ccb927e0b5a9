"""Parts and the registry: how plugins are found, what they bring, and how a name and a table become a part."""
