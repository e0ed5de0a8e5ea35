"""Our own invoices and credit notes, for those who bill without a payment processor."""
