package import Domain

/// A message that this side cannot read: it is damaged, or the other side speaks a newer protocol.
package struct UnreadableMessage: Error, Hashable, Sendable {
    /// What could not be read, for example `stop mode 7`.
    package let what: String

    package init(_ what: String) { self.what = what }

    package var fault: Fault {
        Fault(
            .unprocessable, .protocolMismatch, "The message cannot be understood: \(what).",
            hint: "Run the same version of Roost on the server and on the host.")
    }
}

/// The identifier that `text` spells.
package func readID<ID: Identifier>(_ text: String, _ what: String) throws(UnreadableMessage) -> ID {
    guard let id = ID(text) else { throw UnreadableMessage("\(what) is no lower-case UUID") }
    return id
}

/// `number` as an epoch: never negative.
func readEpoch(_ number: Int64) throws(UnreadableMessage) -> Epoch {
    guard number >= 0 else { throw UnreadableMessage("epoch \(number)") }
    return Epoch(number)
}
