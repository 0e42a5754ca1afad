import APIClient
import APIContract
import ArgumentParser
import Foundation

/// Where the bench is on which is measured.
struct BenchOptions: ParsableArguments {
    @Option(name: .long, help: "The bench's directory.")
    var bench: String

    @Option(name: .long, help: "The host on the bench.")
    var host = "h1"

    @Option(name: .long, help: "The image that guests are made from.")
    var image = "tiny"
}

/// A bench with a server, a host and an image, seen from inside its network.
struct LiveBench {
    let client: RoostClient
    private let options: BenchOptions

    static func with<Result>(_ options: BenchOptions, _ body: (LiveBench) async throws -> Result) async throws -> Result
    {
        let token = try String(contentsOfFile: "\(options.bench)/server/admin.token", encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        let access = try ServerAccess(address: "http://127.0.0.1:7080", token: token)
        return try await RoostClient.using(access) { client in
            try await body(LiveBench(client: client, options: options))
        }
    }

    /// How `virsh`, started here, reaches the libvirtd of the host.
    var libvirtURI: String { "qemu:///system?socket=\(options.bench)/\(options.host)/run/libvirt/libvirt-sock" }

    // MARK: Guests

    /// Makes a VM that was never started.
    func makeVM(_ name: String) async throws -> VMResource {
        try await client.createVM(CreateVMRequest(name: name, image: options.image, cpus: 1, memory: 96)).value
    }

    /// Starts the VM and returns once its guest is up and idle.
    func start(_ vm: VMResource) async throws {
        let console = "\(options.bench)/\(options.host)/agent/console/\(vm.id).log"
        let before = FileManager.default.contents(atPath: console)?.count ?? 0
        let operation = try await client.startVM(vm.id, StartVMRequest(host: options.host)).value
        try await succeed(operation)
        try await waitFor("the guest of \(vm.name) is up", limit: .seconds(90)) {
            let log = FileManager.default.contents(atPath: console)?.dropFirst(before) ?? Data()
            // It is through with its boot when it begins to count.
            return log.range(of: Data("tick 2".utf8)).map { _ in () }
        }
    }

    /// Returns once the operation has ended, which must be well.
    func succeed(_ operation: OperationResource) async throws {
        var operation = operation
        while !operation.isEnded {
            operation = try await client.operation(operation.id, waiting: 30).value
        }
        guard operation.state == "succeeded" else {
            throw MeasureFailed("\(operation.kind) \(operation.state): \(operation.error?.detail ?? "no reason")")
        }
    }

    /// Returns once the API shows that the VM runs on `host` and nothing is to be done with it.
    func arrived(_ vm: VMResource, on host: String) async throws {
        let id = try await client.host(host).value.id
        try await waitFor("\(vm.name) runs on \(host)", limit: .seconds(30)) {
            let now = try await client.vm(vm.id).value
            return now.state == "running" && now.host == id && now.operation == nil ? () : nil
        }
    }

    /// Returns once the API shows that the VM has ended.
    func ended(_ vm: VMResource) async throws {
        try await waitFor("\(vm.name) has ended", limit: .seconds(30)) {
            let state = try await client.vm(vm.id).value.state
            return state == "stopped" || state == "crashed" ? () : nil
        }
    }

    /// Ends the VM and all that it holds.
    func destroy(_ vm: VMResource) async throws {
        try await succeed(try await client.deleteVM(vm.id, isDeferrable: false, isExpunged: true).value)
    }
}
