"""What metasearch-static registers. Imported for every listing, so it must stay light: no torch here."""

from metasearch import Component, hookimpl


@hookimpl
def metasearch_register_encoder() -> list[Component]:
    return [
        Component(
            "static",
            "metasearch_static.encoder:StaticEncoder",
            "The mean of token vectors, taken from a transformer's token table: trains in seconds.",
            {
                "model": {
                    "type": "string",
                    "minLength": 1,
                    "default": "builtin:multilingual-e5-small",
                    "description": "Whose tokenizer and token table to start from: built-in name, local folder, or hub name.",
                },
                "width": {
                    "type": ["integer", "null"],
                    "minimum": 1,
                    "default": 64,
                    "description": "Length of a vector, by principal components of the table; null: as long as the table's.",
                },
                "frequent": {
                    "type": "number",
                    "minimum": 0,
                    "default": 1.0,
                    "description": "How much the first tokens of the vocabulary, the frequent ones, are marked down; 0: not.",
                },
            },
        )
    ]
