"""From a file to a model: YAML with places, `extends` and `set`, and every problem explained at once."""
