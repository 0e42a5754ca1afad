/// Whether the records may be acted on, or were brought back from an older copy and nobody has accepted that yet.
package struct Recovery: Hashable, Sendable {
    /// How often an older copy was accepted. The copy's own point in time is long past: what was told of it since counts less
    /// than whatever the records say once they are accepted.
    package var generation: Int64
    /// Set while Roost only observes.
    package var observing: Observing?
    /// The highest point that any agent has told of.
    package var heard: RecordPoint

    package struct Observing: Hashable, Sendable {
        package let since: Timestamp
        /// A sentence for people.
        package let reason: String

        package init(since: Timestamp, reason: String) {
            self.since = since
            self.reason = reason
        }
    }

    package init(generation: Int64 = 0, observing: Observing? = nil, heard: RecordPoint = .none) {
        self.generation = generation
        self.observing = observing
        self.heard = heard
    }

    /// What every VM's epoch is raised to when a copy is accepted; nil before the first time. A VM that still has it has not
    /// been seen or placed since.
    package var base: Epoch? { generation == 0 ? nil : Epoch(generation * Self.epochsPerGeneration) }

    /// More than any VM is granted between a copy and its use, so that no epoch that the copy does not know is granted again.
    package static let epochsPerGeneration: Int64 = 1_000_000

    /// The generation that an accepted copy begins: above all that was heard of, and its epochs above all that were seen.
    package func nextGeneration(above seen: Epoch) -> Int64 {
        // What an agent tells is taken for what it is; no number of it makes the sum overflow.
        let seen = min(seen.rawValue, Int64.max / 4)
        return max(generation, heard.generation, seen / Self.epochsPerGeneration) + 1
    }
}

/// How far the records had come: rises with each event, and with each copy that is accepted above all that came before.
package struct RecordPoint: Hashable, Sendable, Comparable {
    package let rawValue: Int64

    package init(rawValue: Int64) { self.rawValue = rawValue }

    package init(generation: Int64, event: Int64) {
        rawValue = generation << Self.eventBits | min(event, 1 << Self.eventBits - 1)
    }

    package static let none = RecordPoint(rawValue: 0)
    private static let eventBits: Int64 = 40

    package var generation: Int64 { rawValue >> Self.eventBits }
    /// The number of the latest event.
    package var event: Int64 { rawValue & (1 << Self.eventBits - 1) }

    package static func < (left: RecordPoint, right: RecordPoint) -> Bool { left.rawValue < right.rawValue }
}
