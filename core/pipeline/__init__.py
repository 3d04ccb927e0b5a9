"""From a name to media: pipelines and their stages, what they are asked for, guided by and recorded with."""
