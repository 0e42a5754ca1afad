package import Domain
import Synchronization

/// Who this process is among the management nodes: the owner of its leases and of its agents' sessions.
///
/// A node that was taken for dead goes on as a new one: what it held under its former id is others' by then.
package final class NodeIdentity: Sendable {
    package let name: String
    /// Where it keeps its own data; proof that its former process there is over.
    package let place: String
    package let version: String
    private let current: Mutex<String>

    /// A node whose id is `name`, for a database of its own.
    package init(_ name: String) {
        (self.name, place, version) = (name, name, "")
        current = Mutex(name)
    }

    package init(name: String, place: String, version: String, ids: any IDSource) {
        (self.name, self.place, self.version) = (name, place, version)
        current = Mutex(Self.fresh(name, ids))
    }

    package var id: String { current.withLock { $0 } }

    func renew(_ ids: any IDSource) { current.withLock { $0 = Self.fresh(name, ids) } }

    private static func fresh(_ name: String, _ ids: any IDSource) -> String { "\(name)-\(ids.uuid().prefix(8))" }
}
