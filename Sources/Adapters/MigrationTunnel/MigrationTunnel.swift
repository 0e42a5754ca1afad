package import Domain
import Glibc
package import HostAgent
package import Identity
package import Logging
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// The `MigrationChannel` over direct connections between two agents, each of which proves by its certificate to be the
/// agent of the host that the other expects.
///
/// The destination listens for the time of one move, on a port of the system's choice, and lets the connections that come
/// through to its libvirtd, its incoming QEMU and its disk export. The source makes UNIX sockets that lead there.
package final class MigrationTunnel: MigrationChannel {
    /// Where things are on this host.
    package struct Places: Sendable {
        /// Holds a directory of sockets for each move; must be the same on all hosts, and reachable for QEMU's user.
        package var directory = "/run/libvirt/roost"
        package var libvirtSocket = "/run/libvirt/libvirt-sock"
        /// The address under which other hosts reach this one.
        package var address: @Sendable () throws -> String

        package init(address: @escaping @Sendable () throws -> String) { self.address = address }
    }

    private let places: Places
    private let identity: @Sendable () throws -> AgentIdentity?
    private let group: any EventLoopGroup
    private let logger: Logger
    private let passages = Mutex<[VMID: Passage]>([:])

    package init(places: Places, identity: @escaping @Sendable () throws -> AgentIdentity?, logger: Logger) {
        self.places = places
        self.identity = identity
        self.group = MultiThreadedEventLoopGroup.singleton
        self.logger = logger
    }

    // MARK: At the destination

    package func open(
        for vm: VMID, _ epoch: Epoch, from source: HostID, land: @escaping @Sendable (LandingWord) async -> Bool
    ) async throws(Fault) -> MigrationDoor {
        let sockets = try await begin(vm, epoch)
        do {
            let passage = Passage(epoch: epoch, directory: directory(of: vm))
            let credentials = try PeerCredentials(try known(), expecting: source, logger: logger)
            let address = try places.address()
            let targets: [Way: String] = [
                .libvirt: places.libvirtSocket, .memory: sockets.memory, .disks: sockets.disks,
            ]
            let listener = try await ServerBootstrap(group: group)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        passage.add(channel)
                        let pipeline = channel.pipeline.syncOperations
                        try pipeline.addHandler(credentials.serverHandler())
                        try pipeline.addHandler(
                            DoorHandler(targets: targets, passage: passage, land: land) {
                                await self.close(vm, upTo: epoch)
                            })
                    }
                }
                .childTunnelOptions()
                .bind(host: address, port: 0).get()
            passage.add(listener)
            guard let port = listener.localAddress?.port else { throw TunnelFailure("it has no port") }
            keep(passage, for: vm)
            return MigrationDoor(address: address, port: port, socketDirectory: directory(of: vm))
        } catch {
            throw fault("A way in for the guest cannot be opened", error)
        }
    }

    package func isOpen(_ vm: VMID, _ epoch: Epoch) -> Bool { passages.withLock { $0[vm]?.epoch == epoch } }

    // MARK: At the source

    package func connect(
        _ vm: VMID, _ epoch: Epoch, to destination: HostID, at landing: MigrationLanding
    ) async throws(Fault) -> MigrationSockets {
        guard landing.socketDirectory == directory(of: vm) else {
            throw Fault(
                .conflict, .migrationImpossible,
                "The hosts keep the sockets of moves in different places: here \(directory(of: vm)), there "
                    + "\(landing.socketDirectory).", hint: "Start both agents with the same --migration-dir.")
        }
        let sockets = try await begin(vm, epoch)
        do {
            let passage = Passage(epoch: epoch, directory: directory(of: vm))
            let credentials = try PeerCredentials(try known(), expecting: destination, logger: logger)
            for (way, path) in [
                (Way.libvirt, sockets.libvirt), (.memory, sockets.memory), (.disks, sockets.disks),
            ] {
                let listener = try await ServerBootstrap(group: group)
                    .childChannelInitializer { channel in
                        passage.add(channel)
                        return Self.dial(landing, way, for: channel, credentials, passage)
                    }
                    .bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
                passage.add(listener)
                // QEMU's user has to connect; nobody else can enter the directory.
                guard chmod(path, 0o777) == 0 else { throw TunnelFailure("\(path) cannot be opened to QEMU") }
            }
            keep(passage, for: vm)
            return sockets
        } catch {
            throw fault("The other host cannot be reached for the move", error)
        }
    }

    /// Leads what comes on `channel` to the destination.
    private static func dial(
        _ landing: MigrationLanding, _ way: Way, for channel: any Channel, _ credentials: PeerCredentials,
        _ passage: Passage
    ) -> EventLoopFuture<Void> {
        let near = Splice(channel)
        do { try channel.pipeline.syncOperations.addHandler(near) } catch {
            return channel.eventLoop.makeFailedFuture(error)
        }
        let nearBox = NIOLoopBound(near, eventLoop: channel.eventLoop)
        return ClientBootstrap(group: channel.eventLoop)
            .connectTimeout(.seconds(10))
            .channelInitializer { far in
                far.eventLoop.makeCompletedFuture {
                    passage.add(far)
                    try far.pipeline.syncOperations.addHandler(credentials.clientHandler())
                    let splice = Splice(far)
                    try far.pipeline.syncOperations.addHandler(splice)
                    Splice.join(nearBox.value, splice)
                }
            }
            .tunnelOptions()
            .connect(host: landing.address, port: landing.port)
            .flatMap { far in far.writeAndFlush(ByteBuffer(bytes: [way.rawValue])) }
    }

    package func tell(
        _ word: LandingWord, to destination: HostID, of vm: VMID, at landing: MigrationLanding
    ) async -> Bool {
        guard let passage = passages.withLock({ $0[vm] }) else { return false }
        do {
            let credentials = try PeerCredentials(try known(), expecting: destination, logger: logger)
            let answer = group.any().makePromise(of: Bool.self)
            let channel = try await ClientBootstrap(group: answer.futureResult.eventLoop)
                .connectTimeout(.seconds(10))
                .channelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        passage.add(channel)
                        let pipeline = channel.pipeline.syncOperations
                        try pipeline.addHandler(credentials.clientHandler())
                        try pipeline.addHandler(AnswerHandler(answer))
                    }
                }
                .tunnelOptions()
                .connect(host: landing.address, port: landing.port)
                .flatMapErrorThrowing { error in
                    answer.fail(error)
                    throw error
                }.get()
            let limit = channel.eventLoop.scheduleTask(in: .seconds(10)) { channel.close(promise: nil) }
            defer { limit.cancel() }
            try await channel.writeAndFlush(ByteBuffer(bytes: [Way.word.rawValue, word.rawValue])).get()
            return try await answer.futureResult.get()
        } catch {
            logger.warning("the other host was not told of its guest", metadata: ["vm": "\(vm)", "error": "\(error)"])
            return false
        }
    }

    // MARK: Both

    package func close(_ vm: VMID, upTo epoch: Epoch) async {
        let passage = passages.withLock { passages -> Passage? in
            guard let passage = passages[vm], passage.epoch <= epoch else { return nil }
            passages[vm] = nil
            return passage
        }
        await passage?.close()
    }

    private func directory(of vm: VMID) -> String { "\(places.directory)/\(vm)" }

    private func known() throws -> AgentIdentity {
        guard let identity = try identity() else { throw TunnelFailure("this host has not joined") }
        return identity
    }

    /// Ends an earlier passage of the VM, and makes the directory for the next one's sockets.
    private func begin(_ vm: VMID, _ epoch: Epoch) async throws(Fault) -> MigrationSockets {
        await close(vm, upTo: epoch)
        let directory = directory(of: vm)
        do throws(TunnelFailure) { try SocketDirectory.make(directory, in: places.directory) } catch {
            throw fault("The move's sockets cannot be made", error)
        }
        return MigrationSockets(directory: directory)
    }

    private func keep(_ passage: Passage, for vm: VMID) { passages.withLock { $0[vm] = passage } }

    private func fault(_ what: String, _ error: any Error) -> Fault {
        Fault(.unavailable, .commandFailed, "\(what): \(error)")
    }
}

/// What a connection of a move leads to. Its first byte says it.
enum Way: UInt8, Hashable, Sendable {
    case libvirt = 0x4C
    case memory = 0x4D
    case disks = 0x44
    /// To the agent itself: a `LandingWord` follows, and one byte comes back.
    case word = 0x57
}

struct TunnelFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

extension ServerBootstrap {
    fileprivate func childTunnelOptions() -> ServerBootstrap {
        TunnelOption.all.reduce(childChannelOption(.tcpOption(.tcp_nodelay), value: 1)) { bootstrap, option in
            bootstrap.childChannelOption(.socket(option.level, option.name), value: option.value)
        }
    }
}

extension ClientBootstrap {
    fileprivate func tunnelOptions() -> ClientBootstrap {
        TunnelOption.all.reduce(channelOption(.tcpOption(.tcp_nodelay), value: 1)) { bootstrap, option in
            bootstrap.channelOption(.socket(option.level, option.name), value: option.value)
        }
    }
}

/// A network that falls silent ends a connection within about ten seconds, whether it carries anything or not.
private struct TunnelOption {
    let level: SocketOptionLevel
    let name: SocketOptionName
    let value: SocketOptionValue

    static let all = [
        TunnelOption(level: SocketOptionLevel(SOL_SOCKET), name: SO_KEEPALIVE, value: 1),
        TunnelOption(level: SocketOptionLevel(IPPROTO_TCP), name: TCP_KEEPIDLE, value: 4),
        TunnelOption(level: SocketOptionLevel(IPPROTO_TCP), name: TCP_KEEPINTVL, value: 2),
        TunnelOption(level: SocketOptionLevel(IPPROTO_TCP), name: TCP_KEEPCNT, value: 3),
        TunnelOption(level: SocketOptionLevel(IPPROTO_TCP), name: TCP_USER_TIMEOUT, value: 10_000),
    ]
}
