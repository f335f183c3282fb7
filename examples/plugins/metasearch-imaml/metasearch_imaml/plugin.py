"""What metasearch-imaml registers. Imported for every listing, so it must stay light: no torch here."""

from metasearch import Component, hookimpl


@hookimpl
def metasearch_register_algo() -> list[Component]:
    return [
        Component(
            "imaml",
            "metasearch_imaml.algorithm:ImplicitMAML",
            "MAML by the implicit function theorem: its memory and its gradient do not depend on the inner steps.",
            {
                "inner_steps": {"type": "integer", "minimum": 1, "default": 10, "description": "Inner steps (n)."},
                "inner_lr": {
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "default": 2.5e-3,
                    "description": "Inner rate (alpha), SGD; below 2 / strength, or the inner loop flies apart.",
                },
                "strength": {
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "default": 200.0,
                    "description": "How strongly a task is held to the start (lambda).",
                },
                "cg_steps": {
                    "type": "integer",
                    "minimum": 0,
                    "default": 5,
                    "description": "Steps of conjugate gradients; 0: the query set's gradient as it is.",
                },
                "outer_lr": {"type": "number", "minimum": 0, "default": 1e-5, "description": "Outer rate (beta), AdamW."},
                "meta_batch_size": {"type": "integer", "minimum": 1, "default": 4, "description": "Tasks per outer update (b)."},
                "weight_decay": {
                    "type": "number",
                    "minimum": 0,
                    "default": 0.0,
                    "description": "AdamW weight decay, on matrices only.",
                },
            },
            implies={"mode": "trans"},
        )
    ]
