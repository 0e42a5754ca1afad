extension Migration {
    /// Destroyed VMs are kept for a time, and then expunged.
    ///
    /// Of those that were destroyed before, or were about to be, the disks go with the destroy: they cannot be recovered,
    /// and are expunged at once.
    static let keptVMs = Migration(
        4, "kept-vms",
        [
            """
            ALTER TABLE vm ADD COLUMN expunge_at BIGINT CHECK (
                (expunge_at IS NULL OR state IN ('destroying', 'destroyed'))
                AND (state <> 'expunging' OR placement_host IS NULL))
            """,
            "UPDATE vm SET expunge_at = updated_at WHERE state IN ('destroying', 'destroyed')",
            "CREATE INDEX vm_expunge ON vm (expunge_at) WHERE state = 'destroyed'",
            "DROP INDEX vm_name",
            "CREATE UNIQUE INDEX vm_name ON vm (name) WHERE state <> 'destroyed' AND state <> 'expunging'",
            "CREATE INDEX vm_past_name ON vm (name) WHERE state IN ('destroyed', 'expunging')",
        ])
}
