"""The catalogue: config/models.yaml read, checked and resolved into frozen cards (`inference.ir.cards`).

file             what may be written: providers (provider_entry), models (model_entry), tiers (tier_entry)
words, figures   what a name or a number in it may look like
reading          the way from text to cards; all that others call
providers, models, prices, tiers
                 what each part means
findings         what is wrong or worth a word, told at its place in the file
"""

from inference.catalog.reading import CatalogError, load_catalog, read_catalog

__all__ = ["CatalogError", "load_catalog", "read_catalog"]
