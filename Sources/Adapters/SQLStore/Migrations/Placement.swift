extension Migration {
    /// Labels of hosts and VMs, and what VMs ask of their hosts. Each is JSON text, an object with sorted keys.
    static let placement = Migration(
        3, "placement",
        [
            "ALTER TABLE host ADD COLUMN labels TEXT NOT NULL DEFAULT '{}'",
            "ALTER TABLE vm ADD COLUMN labels TEXT NOT NULL DEFAULT '{}'",
            "ALTER TABLE vm ADD COLUMN host_labels TEXT NOT NULL DEFAULT '{}'",
            "ALTER TABLE vm ADD COLUMN affinity TEXT NOT NULL DEFAULT '{}'",
            "ALTER TABLE vm ADD COLUMN anti_affinity TEXT NOT NULL DEFAULT '{}'",
        ])
}
