/// How far the drain of a host has come, as its latest round found it.
package struct DrainProgress: Hashable, Sendable, Codable {
    /// How many VMs have left the host since the drain was asked for, by a move or by their end.
    package var departed: Int
    /// Those that are still placed there.
    package var guests: [DrainedGuest]

    package init(departed: Int = 0, guests: [DrainedGuest] = []) {
        self.departed = departed
        self.guests = guests
    }

    package var total: Int { departed + guests.count }

    package func guest(_ vm: VMID) -> DrainedGuest? { guests.first { $0.vm == vm } }

    /// For people: how many have left, and what keeps the rest.
    package var summary: String {
        let moving = guests.count { $0.stage == .moving }
        let stopping = guests.count { $0.stage == .stopping }
        var parts = ["\(departed) of \(total) have left"]
        if moving > 0 { parts.append("\(moving) moving") }
        if stopping > 0 { parts.append("\(stopping) stopping") }
        return ([parts.joined(separator: ", ")] + guests.compactMap(\.complaint)).joined(separator: "; ")
    }
}

/// A VM that a drain has not got rid of yet.
package struct DrainedGuest: Hashable, Sendable, Codable {
    package let vm: VMID
    package let name: String
    package var stage: Stage
    /// Where it moves to.
    package var target: HostID?
    /// Why it stays, for now.
    package var fault: Fault?
    /// The move or stop that the drain asked for last.
    package var work: JobID?
    /// How many of those failed, and how the latest one did.
    package var failures: Int
    package var failure: Fault?
    /// Not tried again before.
    package var retryAt: Timestamp?
    /// Somebody cancelled its move: the drain leaves it alone.
    package var isLeftAlone: Bool

    package enum Stage: String, CaseIterable, Sendable, Codable { case moving, stopping, staying }

    package init(vm: VMID, name: String) {
        self.vm = vm
        self.name = name
        stage = .staying
        failures = 0
        isLeftAlone = false
    }

    fileprivate var complaint: String? { fault.map { "\(name): \($0.message)" } }
}
