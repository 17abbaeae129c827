"""The keys of the two tables, as the guide has them."""

Key = dict[str, str]

NAMES = ("pk", "sk")


def dashboard_keys(user_id: str) -> list[Key]:
    """Profile, settings, orders and favourites of a user, in this order."""
    user = f"user#{user_id}"
    return [
        {"pk": user, "sk": user},
        {"pk": user, "sk": "settings#profile"},
        {"pk": user, "sk": "summary#orders"},
        {"pk": user, "sk": "summary#favorites"},
    ]


def product_key(product_id: str) -> Key:
    """One product."""
    return {"pk": f"product#{product_id}", "sk": f"product#{product_id}"}
