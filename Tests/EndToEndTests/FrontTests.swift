import Foundation
import Testing

extension EndToEnd {
    /// What a user meets before there is a host: the listener, the token and the client that finds both.
    @Suite(.serialized) struct Front {
        @Test func `the API does not leave this machine without TLS`() async throws {
            try await withDirectory { directory in
                let refused = try await Self.roostd("--data-dir", "\(directory)/data", "--listen", "0.0.0.0:0")
                #expect(refused.status != 0 && refused.status != 124)
                #expect(refused.err.contains("without TLS"))
                #expect(refused.err.contains("--tls-certificate"))
            }
        }

        @Test
        func
            `a client on the machine finds server and token, which only root reads, and trusts no unknown certificate`()
            async throws
        {
            try await withDirectory { directory in
                try await Self.makeCertificate(in: directory)
                try await withServer(
                    in: directory,
                    "--tls-certificate", "\(directory)/tls.crt", "--tls-key", "\(directory)/tls.key"
                ) { server in
                    #expect(server.hasPrefix("https://"))
                    let mode = try FileManager.default.attributesOfItem(atPath: "\(directory)/data/admin.token")[
                        .posixPermissions]
                    #expect(mode as? Int == 0o600)
                    let trusting = try await Self.roost(
                        ["host", "list", "--ca-file", "\(directory)/tls.crt"], hintsIn: "\(directory)/data")
                    #expect(trusting.status == 0, "\(trusting.err)")
                    let wary = try await Self.roost(["host", "list"], hintsIn: "\(directory)/data")
                    #expect(wary.status == 6, "\(wary.err)")
                }
            }
        }

        @Test func `completion is there for three shells`() async throws {
            for shell in ["bash", "zsh", "fish"] {
                let script = try await Self.roost(["completion", shell])
                #expect(script.status == 0)
                #expect(script.out.contains("roost") && script.out.contains("gc"))
            }
        }

        // MARK: Parts

        private static func roost(_ arguments: [String], hintsIn directory: String = "/nowhere") async throws -> Output
        {
            try await Program.run(
                "\(Bench.root)/.build/debug/roost", arguments,
                environment: ["ROOST_DATA_DIR": directory])
        }

        private static func roostd(_ arguments: String...) async throws -> Output {
            try await Program.run("/usr/bin/timeout", ["20", "\(Bench.root)/.build/debug/roostd"] + arguments)
        }

        private static func makeCertificate(in directory: String) async throws {
            let made = try await Program.run(
                "/usr/bin/openssl",
                [
                    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout",
                    "\(directory)/tls.key", "-out", "\(directory)/tls.crt",
                ])
            guard made.status == 0 else { throw ProgramFailed(description: made.err) }
        }

        private func withDirectory(_ body: (String) async throws -> Void) async throws {
            let directory = FileManager.default.temporaryDirectory.appending(path: "roost-front-\(UUID().uuidString)")
                .path()
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: directory) }
            try await body(directory)
        }

        /// Runs a server of this test's own for as long as `body` takes, and gives it the address.
        private func withServer(
            in directory: String, _ arguments: String..., body: (String) async throws -> Void
        ) async throws {
            let data = "\(directory)/data"
            async let run = Program.run(
                "/usr/bin/timeout",
                [
                    "--signal=TERM", "60", "\(Bench.root)/.build/debug/roostd", "--data-dir", data, "--listen",
                    "127.0.0.1:0", "--agent-listen", "127.0.0.1:0",
                ] + arguments)
            var server = ""
            try await until("the server has left its hint", limit: 30) {
                let hint = FileManager.default.contents(atPath: "\(data)/client.json")
                server = hint.flatMap { try? JSONDecoder().decode(Hint.self, from: $0).server } ?? ""
                return !server.isEmpty
            }
            let outcome = await Result { try await body(server) }
            _ = try await Program.run("/usr/bin/pkill", ["-TERM", "-f", "--", "--data-dir \(data)"])
            let ended = try await run
            #expect(ended.status == 0, "a server that is asked to stop exits 0: \(ended.err)")
            try outcome.get()
        }

        private struct Hint: Decodable { let server: String }
    }
}

extension Result where Failure == any Error {
    fileprivate init(_ body: () async throws -> Success) async {
        do { self = .success(try await body()) } catch { self = .failure(error) }
    }
}
