import APIContract

/// One look at what runs on the hosts, between two readings of the list of VMs.
struct RandomSample {
    let before: [VMResource]
    /// By host; a host whose libvirt did not answer is left out.
    let seen: [String: [HostSight.Domain]]
    let after: [VMResource]

    /// States in which no domain of a VM runs anywhere.
    private static let atRest: Set<String> = ["created", "stopped", "crashed", "destroyed"]

    /// The domains whose CPUs run on two hosts, and these. A look takes some time, in which a guest may arrive: what two in
    /// a row show counts.
    var doubles: [String: [String]] {
        var homes: [String: [String]] = [:]
        for (host, domains) in seen {
            for domain in domains where domain.runs { homes[domain.name, default: []].append(host) }
        }
        return homes.filter { $0.value.count > 1 }.mapValues { $0.sorted() }
    }

    /// The VMs that were at rest before and after, with no change of their record between, and ran.
    var contradictions: [String] {
        after.filter { vm in
            Self.atRest.contains(vm.state) && before.contains { $0.id == vm.id && $0.revision == vm.revision }
        }.flatMap { vm in
            seen.compactMap { host, domains in
                domains.first { $0.isOf(vm.id) && $0.runs }.map {
                    "\(vm.name) \(vm.id) is \(vm.state) (\(vm.stopCause ?? "")), and on \(host) is \($0)"
                }
            }
        }
    }
}
