package import ControlPlane
package import Domain

extension Transaction {
    /// Leases due jobs, and reads them at once.
    package func claimDueJobs(owner: String, limit: Int) throws -> [Job] {
        try leaseDueJobs(owner: owner, limit: limit).read()
    }
}
