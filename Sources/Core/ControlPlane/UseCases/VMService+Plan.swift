package import Domain

extension VMService {
    /// Says where a VM of this size would start now, and what speaks for or against each host. Places and reserves nothing.
    package func plan(cpus: Int, memory: Int) async throws -> [PlacementVerdict] {
        try Self.check(cpus: cpus, memory: memory)
        let need = PlacementNeed(cpus: cpus, memory: memory, pool: nil)
        return try await context.database.read { tx in PlacementChoice.verdicts(need, on: try tx.candidates()) }
    }
}

extension Transaction {
    /// All hosts, as placement sees them.
    func candidates() throws -> [Candidate] {
        try allHosts().map { Candidate(host: $0, allocated: try allocated(on: $0.id)) }
    }
}
