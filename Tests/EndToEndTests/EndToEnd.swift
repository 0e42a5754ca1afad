import Testing

/// Tests on real libvirt and QEMU. One at a time: they measure, and two cores are soon busy with guests.
///
/// All the while somebody looks from outside whether a guest runs twice, or though its record says that it is at rest.
@Suite(.serialized, Watched()) struct EndToEnd {
    /// One bench for all of them; each test takes VMs of its own and finds the bench whole.
    private static let shared = Task { try await Bench.up(hosts: 2, "e2e") }

    static func bench() async throws -> Bench {
        let bench = try await shared.value
        try await bench.restore(["h1", "h2"])
        Watched.begin(bench, hosts: ["h1", "h2"])
        return bench
    }
}
