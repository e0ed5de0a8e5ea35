"""The ledger: who has what credit, by double entry in integers, append-only.

What always holds, on every database, after any crash:

* every transaction's entries sum to zero; entries and transactions are never changed or deleted;
* a reference is posted once per reason, and a request is settled once, for ever;
* an account's balance is the sum of its entries, and its latest entry says the same;
* a balance is the sum of what remains of its grants less its debt, and one of the two is zero.

Balances, what remains of grants, and debts are kept beside the entries, in the same transaction, so that they
are read without summing; `billing.ledger.proof` sums and compares.
"""
