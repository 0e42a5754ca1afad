import Domain
import Foundation
import HostGateway
import Identity
import ServerLink
import Testing

@Suite(.timeLimit(.minutes(1))) struct JoinTests {
    @Test func `a host joins with its token and keeps its certificate`() async throws {
        try await Bench.run { bench in
            let host = freshHost()
            let files = AgentIdentityFiles(directory: try temporaryDirectory(in: bench.directory))
            let token = try bench.token(for: host)
            try await bench.withAgent(freshInbox(), files: files, token: token) {
                try await bench.awaitSession(host)
            }
            #expect(try files.load()?.host == host.rawValue)
            // The token stays on the command line of the host's service; it is not needed again.
            try await bench.withAgent(freshInbox(), files: files, token: token) {
                try await bench.awaitSession(host, atLeast: 2)
            }
        }
    }

    @Test func `a join that was interrupted can be repeated with the same token`() async throws {
        try await Bench.run { bench in
            let host = freshHost()
            let directory = try temporaryDirectory(in: bench.directory)
            let files = AgentIdentityFiles(directory: directory)
            let token = try bench.token(for: host)
            try await bench.withAgent(freshInbox(), files: files, token: token) {
                try await bench.awaitSession(host)
            }
            // As if the agent had died before the certificate was written: the key is the same.
            try FileManager.default.removeItem(atPath: directory + "/agent.crt")
            try await bench.withAgent(freshInbox(), files: files, token: token) {
                try await bench.awaitSession(host, atLeast: 2)
            }
        }
    }

    @Test func `a token that another key used is refused for good`() async throws {
        try await Bench.run { bench in
            let host = freshHost()
            let token = try bench.token(for: host)
            let first = AgentIdentityFiles(directory: try temporaryDirectory(in: bench.directory))
            try await bench.withAgent(freshInbox(), files: first, token: token) {
                try await bench.awaitSession(host)
            }
            let second = AgentIdentityFiles(directory: try temporaryDirectory(in: bench.directory))
            let failure = await #expect(throws: LinkFailure.self) {
                try await bench.withAgent(freshInbox(), files: second, token: token) {
                    try await eventually("a refusal") { false }
                }
            }
            #expect(failure?.message == "The join token was used, has expired or is unknown.")
            #expect(try second.load() == nil)
        }
    }

    @Test func `the secret is not sent to a server that the token does not pin`() async throws {
        try await Bench.run { bench in
            let host = freshHost()
            let token = try JoinTokenText(for: try CertificateAuthority())
            bench.observer.add(tokenHash: token.secretHash, for: host)
            let files = AgentIdentityFiles(directory: try temporaryDirectory(in: bench.directory))
            let failure = await #expect(throws: LinkFailure.self) {
                try await bench.withAgent(freshInbox(), files: files, token: token) {
                    try await eventually("a refusal") { false }
                }
            }
            #expect(failure?.message == "The server at that address is not the one that made the join token.")
        }
    }

    @Test func `an agent that neither joined nor has a token says what to do`() async throws {
        try await Bench.run { bench in
            let files = AgentIdentityFiles(directory: try temporaryDirectory(in: bench.directory))
            let failure = await #expect(throws: LinkFailure.self) {
                try await bench.withAgent(freshInbox(), files: files) { try await eventually("a refusal") { false } }
            }
            #expect(failure?.hint == "Run the line that `roost host add` prints, with --join.")
        }
    }

    @Test func `a certificate of another authority gets no session`() async throws {
        try await Bench.run { bench in
            let files = try bench.joinedHost(by: try CertificateAuthority())
            try await bench.withAgent(freshInbox(), files: files) {
                let host = freshHost()
                let good = try bench.joinedHost(host)
                try await bench.withAgent(freshInbox(), files: good) { try await bench.awaitSession(host) }
            }
            #expect(bench.observer.openCount == 1)
        }
    }

    @Test func `a self-signed certificate gets no session`() async throws {
        try await Bench.run { bench in
            let directory = try temporaryDirectory(in: bench.directory)
            let files = AgentIdentityFiles(directory: directory)
            let newcomer = try files.newcomer()
            let probe = try SessionProbe(port: bench.port, credential: try newcomer.credential(), bench.authority)
            defer { probe.hangUp() }
            #expect(try await probe.refusal(fromSessionOf: freshInbox()) == .unauthenticated)
            #expect(bench.observer.openCount == 0)
        }
    }

    @Test func `a deleted host gets no session and no new certificate`() async throws {
        try await Bench.run { bench in
            let host = freshHost()
            let files = try bench.joinedHost(host)
            bench.observer.delete(host)
            let identity = try #require(try files.load())
            let probe = try SessionProbe(port: bench.port, credential: try identity.credential, bench.authority)
            defer { probe.hangUp() }
            #expect(try await probe.refusal(fromSessionOf: freshInbox()) == .hostDeleted)
            #expect(await probe.refusalOfRenewal() == .hostDeleted)
            #expect(await probe.refusalOfJoin() == .forbidden)
        }
    }

    @Test func `a connection without a client certificate is not taken`() async throws {
        try await Bench.run { bench in
            let probe = try SessionProbe(port: bench.port, credential: nil, bench.authority)
            defer { probe.hangUp() }
            #expect(await probe.failsToJoin())
        }
    }

    @Test func `a certificate is renewed after two thirds of its life`() async throws {
        try await Bench.run { bench in
            let host = freshHost()
            let files = try bench.joinedHost(host)
            let before = try #require(try files.load())
            var settings = LinkSettings.quick
            settings.wall = { Date() + 61 * 86400 }
            try await bench.withAgent(freshInbox(), files: files, settings: settings) {
                try await eventually("a new certificate") {
                    try files.load().map { $0.certificate != before.certificate } ?? false
                }
            }
            let after = try #require(try files.load())
            #expect(after.host == before.host)
            #expect(after.key.rawRepresentation == before.key.rawRepresentation)
        }
    }
}
