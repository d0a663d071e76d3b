"""From an embedder to a service: the exported model, its versions, and who asks it."""
