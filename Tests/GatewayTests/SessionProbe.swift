import AgentContract
import Domain
import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2Posix
import Identity

/// A bare client of the agent protocol, for what a well-behaved agent never does.
struct SessionProbe: Sendable {
    private let client: GRPCClient<HTTP2ClientTransport.Posix>
    private let connections: Task<Void, Never>

    init(port: Int, credential: TLSCredential?, _ authority: CertificateAuthority) throws {
        let transport = try HTTP2ClientTransport.Posix(
            target: .ipv4(address: "127.0.0.1", port: port),
            transportSecurity: .tls { tls in
                tls.certificateChain = (credential?.chain ?? []).map { .bytes($0, format: .der) }
                tls.privateKey = credential.map { .bytes($0.key, format: .der) }
                tls.trustRoots = .certificates(
                    ((try? [authority.certificate.derBytes()]) ?? []).map { .bytes($0, format: .der) })
            },
            config: .defaults { $0.http2.authority = CertificateAuthority.serverName })
        let client = GRPCClient(transport: transport)
        self.client = client
        connections = Task { try? await client.runConnections() }
    }

    var gateway: WireAgentGateway.Client<HTTP2ClientTransport.Posix> { WireAgentGateway.Client(wrapping: client) }

    func hangUp() {
        client.beginGracefulShutdown()
        connections.cancel()
    }

    /// Sends `messages` on a session and keeps it open; returns what the server said until it ended the stream.
    func session(_ messages: [WireAgentMessage]) async throws -> [WireServerMessage] {
        let (open, end) = AsyncStream<Void>.makeStream()
        return try await gateway.session { writer in
            for message in messages { try await writer.write(message) }
            for await _ in open {}
        } onResponse: { response in
            defer { end.finish() }
            var heard: [WireServerMessage] = []
            for try await message in response.messages { heard.append(message) }
            return heard
        }
    }

    func refusal(fromSessionOf inbox: FakeInbox) async throws -> FaultCode? {
        try await refusal(of: [Self.hello(await inbox.hello().inventory, instance: inbox.instance)])
    }

    /// The code with which the server ends a session that begins with `messages`.
    func refusal(of messages: [WireAgentMessage]) async throws -> FaultCode? {
        for message in try await session(messages) {
            if case .refused(let fault)? = message.kind { return FaultCode(rawValue: fault.code) }
        }
        return nil
    }

    func refusalOfRenewal() async -> FaultCode? {
        do {
            _ = try await gateway.renew(WireRenewRequest())
            return nil
        } catch {
            return (error as? RPCError).flatMap(Fault.init(sentWith:))?.code
        }
    }

    func refusalOfJoin() async -> FaultCode? {
        do {
            _ = try await gateway.join(.with { $0.secret = Data("secret".utf8) })
            return nil
        } catch {
            return (error as? RPCError).flatMap(Fault.init(sentWith:))?.code
        }
    }

    /// Whether a call fails without an answer of the server.
    func failsToJoin() async -> Bool {
        do {
            _ = try await gateway.join(.with { $0.secret = Data("secret".utf8) })
            return false
        } catch {
            return (error as? RPCError).flatMap(Fault.init(sentWith:)) == nil
        }
    }

    static func hello(
        _ inventory: Inventory, instance: String, version: Int = AgentProtocol.version,
        oldest: Int = AgentProtocol.oldest
    ) -> WireAgentMessage {
        .with {
            $0.hello = .with {
                $0.protocolVersion = UInt32(version)
                $0.oldestProtocolVersion = UInt32(oldest)
                $0.instance = instance
                $0.facts = WireHostFacts(
                    HostFacts(
                        cpus: 1, memory: 1, agentVersion: "0",
                        hypervisor: HypervisorFacts(
                            domainType: "qemu", reason: "", libvirtVersion: "", qemuVersion: ""),
                        pool: PoolID(trusted: testVM.rawValue)))
                $0.inventory = WireInventory(inventory)
            }
        }
    }
}
