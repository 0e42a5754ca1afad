import APIServer
import ArgumentParser
import Configuration
import ControlPlane
import Domain
import Foundation
import HostGateway
import Identity
import Logging
import SQLStore
import SystemPackage

/// What the command line says; a configuration file (YAML) gives what it leaves open, under the same names.
struct ServerOptions: ParsableArguments {
    @Option(name: .long, help: "Read settings from this YAML file; flags win.")
    var config: String?

    @Option(name: .long, help: "Where the records, keys and images are kept. (default: /var/lib/roost)")
    var dataDir: String?

    @Option(
        name: .long,
        help: "What the servers of one database share: keys and images. (default: the data directory)")
    var sharedDir: String?

    @Option(name: .long, help: "This server's name among those of one database. (default: the machine's name)")
    var node: String?

    @Option(
        name: .long,
        help: "After how many seconds without a sign of life a server's work is taken over by the others. (default: 10)"
    )
    var nodeLease: Int?

    @Option(name: .long, help: "Where the API listens. (default: 127.0.0.1:7080)")
    var listen: String?

    @Option(name: .long, help: "Where agents dial in. (default: 127.0.0.1:7443)")
    var agentListen: String?

    @Option(name: .long, help: "The address that hosts dial, if it is another than --agent-listen.")
    var agentAddress: String?

    @Option(
        name: .long,
        help: "A PostgreSQL database, postgres://USER@HOST/NAME. (default: an SQLite file in the data directory)")
    var database: String?

    @Option(name: .long, help: "The API's certificate chain (PEM). TLS is needed off loopback.")
    var tlsCertificate: String?

    @Option(name: .long, help: "The API's private key (PEM).")
    var tlsKey: String?

    @Option(name: .long, help: "After how many seconds of silence a host counts as disconnected. (default: 8)")
    var silenceLimit: Int?

    @Option(
        name: .long, help: "After how many seconds without an answer a start's end counts as unknown. (default: 60)")
    var startLimit: Int?

    @Option(
        name: .long,
        help: "For how many seconds a deleted VM can be recovered; 0: not at all. (default: 86400)")
    var keepDestroyed: Int?

    @Option(name: .long, help: "For how many seconds jobs are kept that are done. (default: 604800)")
    var keepJobs: Int?

    @Option(
        name: .long,
        help: "For how many seconds jobs are kept that failed, or were superseded or cancelled. (default: 2592000)")
    var keepFailedJobs: Int?

    @Option(name: .long, help: "For how many seconds events are kept. (default: 2592000)")
    var keepEvents: Int?

    @Option(name: .long, help: "How many virtual CPUs are handed out for each CPU of a host. (default: 4)")
    var cpuOvercommit: String?

    @Option(name: .long, help: "How much guest memory is handed out for each MiB of a host's memory. (default: 1)")
    var memoryOvercommit: String?

    @Option(name: .long, help: "How many MiB of each host guests never get. (default: 0)")
    var hostMemoryReserve: Int?

    @Option(name: .long, help: "trace, debug, info, notice, warning, error or critical. (default: info)")
    var logLevel: String?

    /// The names that a configuration file may have.
    private static let fileKeys: Set<String> = [
        "data-dir", "shared-dir", "node", "node-lease", "listen", "agent-listen", "agent-address", "database",
        "tls-certificate", "tls-key",
        "silence-limit", "start-limit", "keep-destroyed", "keep-jobs", "keep-failed-jobs", "keep-events",
        "cpu-overcommit", "memory-overcommit", "host-memory-reserve", "log-level",
    ]

    func settled() async throws -> SettledOptions {
        let file = try await FileSettings(path: config, known: Self.fileKeys)
        var node = self.node ?? file["node"] ?? ProcessInfo.processInfo.hostName
        if node.isEmpty { node = "roostd" }
        var control = ControlSettings(node: node)
        var gateway = GatewaySettings()
        let listen = try address(self.listen ?? file["listen"] ?? "127.0.0.1:7080", "--listen")
        let agentListen = try address(self.agentListen ?? file["agent-listen"] ?? "127.0.0.1:7443", "--agent-listen")
        control.agentAddress = agentAddress ?? file["agent-address"] ?? agentListen.dialled(by: node)
        if let seconds = try number(silenceLimit, file, "silence-limit", 2...600) {
            gateway.silenceLimit = .seconds(seconds)
            gateway.pingInterval = min(gateway.pingInterval, .milliseconds(seconds * 250))
        }
        if let seconds = try number(startLimit, file, "start-limit", 1...3600) {
            control.startLimit = .seconds(seconds)
        }
        if let seconds = try number(keepDestroyed, file, "keep-destroyed", 0...31_536_000) {
            control.keepDestroyed = .seconds(seconds)
        }
        try keep(file, in: &control)
        control.capacity = try capacity(file)
        let lease = try number(nodeLease, file, "node-lease", 2...600) ?? 10
        let database = try (self.database ?? file["database"]).map { url in
            // The URL may hold a password, so that it is not repeated.
            guard let location = StoreLocation(url: url) else {
                throw ValidationError("--database: it is no URL that begins with postgres:// or postgresql://.")
            }
            return location
        }
        let level = logLevel ?? file["log-level"] ?? "info"
        guard let level = Logger.Level(rawValue: level) else {
            throw ValidationError(
                "--log-level: '\(level)' is none of trace, debug, info, notice, warning, error, critical.")
        }
        return try SettledOptions(
            dataDirectory: dataDir ?? file["data-dir"] ?? "/var/lib/roost", listen: listen, agentListen: agentListen,
            sharedDirectory: sharedDir ?? file["shared-dir"], nodeLease: .seconds(lease), database: database,
            control: control, gateway: gateway, logLevel: level,
            certificate: tlsCertificate ?? file["tls-certificate"], key: tlsKey ?? file["tls-key"])
    }

    private func keep(_ file: FileSettings, in control: inout ControlSettings) throws {
        let limits = 0...315_360_000
        if let seconds = try number(keepJobs, file, "keep-jobs", limits) { control.jobRetention = .seconds(seconds) }
        if let seconds = try number(keepFailedJobs, file, "keep-failed-jobs", limits) {
            control.failedJobRetention = .seconds(seconds)
        }
        if let seconds = try number(keepEvents, file, "keep-events", limits) {
            control.eventRetention = .seconds(seconds)
        }
    }

    private func capacity(_ file: FileSettings) throws -> CapacityPolicy {
        var policy = CapacityPolicy()
        if let ratio = try ratio(cpuOvercommit, file, "cpu-overcommit", CapacityPolicy.cpuRatioLimits) {
            policy.cpuRatio = ratio
        }
        if let ratio = try ratio(memoryOvercommit, file, "memory-overcommit", CapacityPolicy.memoryRatioLimits) {
            policy.memoryRatio = ratio
        }
        let limits = CapacityPolicy.memoryReserveLimits
        if let reserve = try number(hostMemoryReserve, file, "host-memory-reserve", limits) {
            policy.memoryReserve = reserve
        }
        return policy
    }

    private func ratio(
        _ flag: String?, _ file: FileSettings, _ name: String, _ limits: ClosedRange<Ratio>
    ) throws -> Ratio? {
        guard let text = flag ?? file[name] else { return nil }
        guard let ratio = Ratio(text), limits.contains(ratio) else {
            throw ValidationError(
                "--\(name): '\(text)' is not a decimal from \(limits.lowerBound) to \(limits.upperBound) with at most "
                    + "three places.")
        }
        return ratio
    }

    private func address(_ text: String, _ option: String) throws -> ListenAddress {
        do { return try ListenAddress(parsing: text) } catch {
            throw ValidationError("\(option): '\(text)' is not ADDRESS:PORT, for example 127.0.0.1:7080 or [::1]:7080.")
        }
    }

    private func number(
        _ flag: Int?, _ file: FileSettings, _ name: String, _ limits: ClosedRange<Int>
    ) throws -> Int? {
        guard let text = flag.map(String.init) ?? file[name] else { return nil }
        guard let value = Int(text), limits.contains(value) else {
            throw ValidationError(
                "--\(name): '\(text)' is not a whole number from \(limits.lowerBound) to \(limits.upperBound).")
        }
        return value
    }
}

/// The settings of one configuration file; empty without one.
struct FileSettings {
    private var values: [String: String] = [:]

    init(path: String?, known: Set<String>) async throws {
        guard let path else { return }
        guard FileManager.default.isReadableFile(atPath: path) else {
            throw StartFailure("The configuration file \(path) cannot be read.", "Check --config.")
        }
        let provider: FileProvider<YAMLSnapshot>
        do { provider = try await FileProvider<YAMLSnapshot>(filePath: FilePath(path)) } catch {
            throw StartFailure("The configuration file \(path) is not valid YAML: \(error)", "Check --config.")
        }
        let reader = ConfigReader(provider: provider)
        for key in known {
            let name = ConfigKey([key])
            values[key] =
                reader.string(forKey: name) ?? reader.int(forKey: name).map(String.init)
                ?? reader.double(forKey: name).map { String($0) }
        }
    }

    subscript(key: String) -> String? { values[key] }
}

/// The options that the server runs with, checked.
struct SettledOptions: Sendable {
    let dataDirectory: String
    let listen: ListenAddress
    let agentListen: ListenAddress
    let sharedDirectory: String?
    let nodeLease: Duration
    /// nil: an SQLite file in the data directory.
    let database: StoreLocation?
    let control: ControlSettings
    let gateway: GatewaySettings
    let logLevel: Logger.Level
    private let certificate: String?
    private let key: String?

    init(
        dataDirectory: String, listen: ListenAddress, agentListen: ListenAddress,
        sharedDirectory: String?, nodeLease: Duration, database: StoreLocation?, control: ControlSettings,
        gateway: GatewaySettings, logLevel: Logger.Level,
        certificate: String?, key: String?
    ) throws {
        guard (certificate == nil) == (key == nil) else {
            throw ValidationError("--tls-certificate and --tls-key go together.")
        }
        guard listen.isLoopback || certificate != nil else {
            throw StartFailure(
                "The API would listen on \(listen) without TLS.",
                "Listen on loopback (127.0.0.1), or pass --tls-certificate and --tls-key.")
        }
        self.dataDirectory = dataDirectory
        self.listen = listen
        self.agentListen = agentListen
        self.sharedDirectory = sharedDirectory
        self.nodeLease = nodeLease
        self.database = database
        self.control = control
        self.gateway = gateway
        self.logLevel = logLevel
        self.certificate = certificate
        self.key = key
    }

    var isTLS: Bool { certificate != nil }

    func apiIdentity() throws -> HTTPFront.ServerIdentity? {
        guard let certificate, let key else { return nil }
        return HTTPFront.ServerIdentity(
            certificateChain: try Self.text(of: certificate), privateKey: try Self.text(of: key))
    }

    private static func text(of file: String) throws -> String {
        do { return try String(contentsOfFile: file, encoding: .utf8) } catch {
            throw StartFailure("The file \(file) cannot be read.", "Check --tls-certificate and --tls-key.")
        }
    }
}

extension ListenAddress {
    /// What to tell a host to dial: an address that means any is replaced by this machine's name.
    fileprivate func dialled(by node: String) -> String {
        host == "0.0.0.0" || host == "::" ? "\(node):\(port)" : description
    }
}

/// The server cannot start; says why and what to do.
struct StartFailure: Error, CustomStringConvertible {
    let description: String

    init(_ message: String, _ hint: String?) {
        description = hint.map { "\(message)\nhint: \($0)" } ?? message
    }
}
