/// What a VM asks of the host that it is placed on. Held to whenever it is placed, and not afterwards: a change of labels
/// moves nothing.
package struct PlacementRules: Hashable, Sendable {
    /// Labels that the host must have, all of them.
    package let hostLabels: Labels
    /// For each of these: as long as other VMs with the label are placed, only hosts that hold one of them will do.
    package let affinity: Labels
    /// A host that holds another VM with one of these labels will not do; nor may a VM with one of them join this one.
    package let antiAffinity: Labels

    package init(hostLabels: Labels = .none, affinity: Labels = .none, antiAffinity: Labels = .none) {
        self.hostLabels = hostLabels
        self.affinity = affinity
        self.antiAffinity = antiAffinity
    }

    package static let none = PlacementRules()

    package var isEmpty: Bool { self == .none }
}
