package import Domain

package protocol RecoveryTable {
    func recovery() throws -> Recovery
    func put(_ recovery: Recovery) throws
    /// Hosts that were not heard of since the records were restored, deleted ones included.
    func awaitedHosts() throws -> [Host]
    /// All VMs, in whatever state.
    func allVMs() throws -> [VM]
    func allSightings() throws -> [Sighting]
    func unfinishedJobs() throws -> [Job]
    /// Takes the lease of every running job back, so that whoever works on it writes nothing more.
    func breakLeases() throws
    /// The highest epoch of any VM that the records know, or that a host has told of.
    func highestEpoch() throws -> Epoch
    /// The next event has a number above `id`.
    func skipEventIDs(past id: Int64) throws
}
