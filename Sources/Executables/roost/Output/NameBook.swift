import APIClient

/// The names that go with ids, looked up once for a whole table.
struct NameBook: Sendable {
    private let names: [String: String]

    enum Kind: CaseIterable { case hosts, images, vms }

    init(_ names: [String: String] = [:]) { self.names = names }

    /// A kind that cannot be looked up leaves its ids as they are: a table with ids is better than none.
    static func load(_ kinds: Set<Kind>, from client: RoostClient) async -> NameBook {
        async let hosts = kinds.contains(.hosts) ? try? client.hosts().items.map { ($0.id, $0.name) } : nil
        async let images = kinds.contains(.images) ? try? client.images().items.map { ($0.id, $0.name) } : nil
        async let vms = kinds.contains(.vms) ? try? client.vms().items.map { ($0.id, $0.name) } : nil
        let all = await (hosts ?? []) + (images ?? []) + (vms ?? [])
        return NameBook(Dictionary(all, uniquingKeysWith: { first, _ in first }))
    }

    /// The name of `id`, or the id where there is no name for it.
    subscript(id: String?) -> String {
        guard let id else { return "" }
        return names[id] ?? id
    }
}
