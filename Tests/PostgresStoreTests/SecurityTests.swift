import ControlPlane
import Domain
import Foundation
import PostgresBench
import StoreConformance
import Testing

@testable import SQLStore

/// A database that wants a password, over TLS alone, as libpq's usual settings give them.
@Suite struct SecurityTests {
    private static let password = "s3cret-of-the-keeper"

    @Test func `a database is reached by TLS and a password file, and by no less`() async throws {
        let place = try SecuredPostgres(password: Self.password)
        defer { place.end() }
        let store = try place.open(place.url(with: "sslmode=verify-full", "passfile=\(place.passwordFile)"))
        try await store.write("insert") { try $0.insert(Sample.vm(1)) }
        #expect(try await store.read { try $0.vm(Sample.vmID(1)) } == Sample.vm(1))
        let encrypted = try place.server.run(
            "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'keeper'",
            on: "postgres")
        #expect(encrypted == ["t"])
        store.close()

        try place.open(place.url(with: "sslmode=verify-full", "password=\(Self.password)")).close()
        for (settings, complaint) in [
            (["sslmode=verify-full", "password=wrong-guess"], "password authentication failed"),
            (["sslmode=verify-full"], "no password supplied"),
            (["sslmode=disable", "password=\(Self.password)"], "no encryption"),
            (["sslmode=verify-full", "sslrootcert=\(place.otherAuthority)"], "certificate verify failed"),
            (["sslmode=verify-full", "host=\(place.otherAddress)"], "does not match"),
        ] {
            let fault = #expect(throws: Fault.self) { try place.open(place.url(with: settings)) }
            #expect(fault?.code == .storeUnavailable)
            let told = "\(fault?.message ?? "") \(fault?.hint ?? "")"
            #expect(told.contains(complaint))
            for secret in [Self.password, "wrong-guess"] { #expect(!told.contains(secret)) }
        }
    }
}

/// A server that lets nobody in by the network without TLS and a password, and what a client needs to be let in.
private struct SecuredPostgres {
    let server: PostgresServer
    let passwordFile: String
    /// The certificate of an authority that has nothing to do with the server.
    let otherAuthority: String
    /// Where the server listens too, though its certificate does not say so.
    let otherAddress: String
    private let folder: String
    private let address: String

    init(password: String) throws {
        folder = "/tmp/roost-tls-\(UUID().uuidString.prefix(8).lowercased())"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        // Loopback has addresses enough for every test to have its own, with the usual port.
        let net = "127.\(Int.random(in: 1...250)).\(Int.random(in: 1...250))"
        (address, otherAddress) = ("\(net).1", "\(net).2")
        (passwordFile, otherAuthority) = ("\(folder)/pgpass", "\(folder)/other.crt")
        for (name, names) in [("server", "IP:\(address)"), ("other", "DNS:elsewhere")] {
            try Self.tool(
                "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-days",
                "1", "-subj", "/CN=\(name)", "-addext", "subjectAltName=\(names)", "-keyout", "\(folder)/\(name).key",
                "-out", "\(folder)/\(name).crt")
        }
        try "\(address):*:*:keeper:\(password)\n".write(toFile: passwordFile, atomically: true, encoding: .utf8)
        try "local all roost trust\nhostssl all keeper all scram-sha-256\n".write(
            toFile: "\(folder)/hba.conf", atomically: true, encoding: .utf8)
        for (mode, name) in [("600", "pgpass"), ("600", "server.key"), ("644", "hba.conf"), ("755", "")] {
            try Self.tool("chmod", mode, "\(folder)/\(name)")
        }
        if getuid() == 0 { try Self.tool("chown", "postgres", "\(folder)/server.key") }
        server = try PostgresServer(
            settings: """
                fsync = off
                listen_addresses = '\(address),\(otherAddress)'
                ssl = on
                ssl_cert_file = '\(folder)/server.crt'
                ssl_key_file = '\(folder)/server.key'
                hba_file = '\(folder)/hba.conf'
                """)
        try server.run("CREATE ROLE keeper LOGIN PASSWORD '\(password)'", on: "postgres")
        try server.run("CREATE DATABASE kept OWNER keeper TEMPLATE template0", on: "postgres")
    }

    /// Later settings take the place of earlier ones.
    func url(with settings: [String]) -> String {
        let usual = ["host=\(address)", "sslrootcert=\(folder)/server.crt", "user=keeper"]
        return "postgres:///kept?\((usual + settings).joined(separator: "&"))"
    }

    func url(with settings: String...) -> String { url(with: settings) }

    func open(_ url: String) throws -> PostgresDatabase {
        try PostgresDatabase(
            url: url, faults: NoFaultPoints(), logger: quietLogger, onCommit: { _, _ in }, onNotice: { _ in })
    }

    func end() {
        server.end()
        try? FileManager.default.removeItem(atPath: folder)
    }

    private struct ToolFailed: Error { let name: String }

    private static func tool(_ name: String, _ arguments: String...) throws {
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [name] + arguments
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else { throw ToolFailed(name: name) }
    }
}
