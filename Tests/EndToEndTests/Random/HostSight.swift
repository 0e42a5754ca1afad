import Foundation

/// What runs on hosts, seen from outside of Roost.
protocol HostView: Sendable {
    /// nil while the host's libvirt does not answer.
    func domains(on host: String) async -> [HostSight.Domain]?
    /// The epoch in the domain's own metadata; nil if there is none, or no domain.
    func epoch(of domain: HostSight.Domain, on host: String) async -> Int64?
    /// What else is to be said of a domain that should not run, in one line.
    func evidence(of domain: String, on host: String) async -> String
}

/// What libvirt itself shows of a host's domains; asked from outside, through the host's own socket.
struct HostSight: HostView {
    let directory: String

    struct Domain: Hashable, Sendable, CustomStringConvertible {
        let name: String
        /// As `virDomainState` numbers it.
        let state: Int

        /// Whether its CPUs run: running, blocked, or being shut down.
        var runs: Bool { [1, 2, 4].contains(state) }
        var isPaused: Bool { state == 3 }
        var description: String { "\(name) in state \(state)" }

        /// Whether it is of the VM with this id: the name ends with the id's first part.
        func isOf(_ vm: String) -> Bool { name.hasSuffix("-\(vm.prefix(8))") }
    }

    func domains(on host: String) async -> [Domain]? {
        guard let answer = await virsh(host, "domstats", "--state", "--nowait"), answer.status == 0 else { return nil }
        var found: [Domain] = []
        var name: String?
        for line in answer.out.split(separator: "\n").map({ $0.trimmingCharacters(in: .whitespaces) }) {
            if line.hasPrefix("Domain: '") {
                name = String(line.dropFirst(9).dropLast())
            } else if line.hasPrefix("state.state="), let owner = name {
                found.append(Domain(name: owner, state: Int(line.dropFirst(12)) ?? 0))
                name = nil
            }
        }
        return found
    }

    func epoch(of domain: Domain, on host: String) async -> Int64? {
        let answer = await virsh(host, "metadata", domain.name, "--uri", "https://roost.dev/domain/1")
        guard let text = answer?.out, let start = text.range(of: "epoch=\"")?.upperBound else { return nil }
        return Int64(text[start...].prefix { $0 != "\"" })
    }

    /// What libvirt and QEMU itself say of a domain that should not run, in one line.
    func evidence(of domain: String, on host: String) async -> String {
        let epoch = await epoch(of: Domain(name: domain, state: 0), on: host).map { "\($0)" } ?? "none"
        let state = await virsh(host, "domstate", domain, "--reason")
        let qemu = await virsh(host, "qemu-monitor-command", domain, "--hmp", "info status")
        let job = await virsh(host, "domjobinfo", domain)
        return (["epoch \(epoch)"] + [state, qemu, job].map { $0.map { $0.out + $0.err } ?? "no answer" })
            .flatMap { $0.split(whereSeparator: \.isNewline) }.joined(separator: ", ")
    }

    func virsh(_ host: String, _ arguments: String...) async -> Output? {
        let uri = "qemu+unix:///system?socket=\(directory)/\(host)/run/libvirt/libvirt-sock"
        return try? await Program.run("/usr/bin/virsh", ["--quiet", "--connect", uri] + arguments, limit: 5)
    }
}
