import APIClient
import Testing

@testable import roost

struct ServerLocatorTests {
    // The testing library has a type of the same name.
    private typealias ExitStatus = roost.ExitStatus

    private let configuration = """
        current: prod
        contexts:
          prod: {server: "https://prod:7080", tokenFile: prod.token, caFile: /ca/prod.pem}
          lab: {server: "https://lab:7080/", token: lab-token}
        """
    private let hint = #"{"server":"http://127.0.0.1:7080","tokenFile":"admin.token"}"#

    private func locate(
        _ arguments: [String] = [], _ environment: [String: String] = [:], files: [String: String]
    ) throws -> ServerAccess {
        let surroundings = Surroundings(environment: environment.merging(["HOME": "/home/me"]) { given, _ in given }) {
            path throws(Surroundings.Unreadable) in
            if files[path] == "DENIED" {
                throw Surroundings.Unreadable(path: path, detail: "permission denied", isDenied: true)
            }
            return files[path]
        }
        return try ServerLocator(options: try ConnectionOptions.parse(arguments), surroundings: surroundings).locate()
    }

    private var everything: [String: String] {
        [
            "/home/me/.config/roost/config.yaml": configuration, "/home/me/.config/roost/prod.token": "prod-token\n",
            ".roost/server/client.json": hint, ".roost/server/admin.token": "local-token\n",
        ]
    }

    private func status(_ body: () throws -> ServerAccess) -> ExitStatus? {
        do {
            _ = try body()
            return nil
        } catch {
            return (error as? CommandFailure)?.status
        }
    }

    @Test func `flags win over all else`() throws {
        let access = try locate(
            ["--server", "https://flag", "--token", "flag-token", "--context", "lab", "--ca-file", "/flag.pem"],
            ["ROOST_SERVER": "https://env", "ROOST_TOKEN": "env-token"], files: everything)
        #expect(access.address == "https://flag")
        #expect(access.token == "flag-token")
        #expect(access.caFile == "/flag.pem")
    }

    @Test func `a context that is asked for wins over the environment`() throws {
        let access = try locate(
            ["--context", "lab"], ["ROOST_SERVER": "https://env", "ROOST_TOKEN": "env-token"], files: everything)
        #expect(access.address == "https://lab:7080")
        #expect(access.token == "lab-token")
    }

    @Test func `the environment wins over the configuration`() throws {
        let access = try locate(
            [], ["ROOST_SERVER": "https://env", "ROOST_TOKEN": "env-token", "ROOST_CA": "/env.pem"], files: everything)
        #expect(access.address == "https://env")
        #expect(access.token == "env-token")
        #expect(access.caFile == "/env.pem")
    }

    @Test func `the current context wins over a server on this machine`() throws {
        let access = try locate(files: everything)
        #expect(access.address == "https://prod:7080")
        #expect(access.token == "prod-token")
        #expect(access.caFile == "/ca/prod.pem")
    }

    @Test func `a server on this machine is found by its hint, with paths from the hint's folder`() throws {
        let local = [".roost/server/client.json": hint, ".roost/server/admin.token": "local-token\n"]
        #expect(try locate(files: local).token == "local-token")
        let first = ["/data/client.json": hint, "/data/admin.token": "data-token"].merging(local) { given, _ in given }
        #expect(try locate([], ["ROOST_DATA_DIR": "/data"], files: first).token == "data-token")
        let last = ["/var/lib/roost/client.json": hint, "/var/lib/roost/admin.token": "var-token"]
        #expect(try locate(files: last).token == "var-token")
    }

    @Test func `the configuration is looked for where XDG says`() throws {
        let access = try locate(
            [], ["XDG_CONFIG_HOME": "/xdg"],
            files: ["/xdg/roost/config.yaml": configuration, "/xdg/roost/prod.token": "xdg-token"])
        #expect(access.token == "xdg-token")
    }

    @Test func `a token is never sent to another server than its own`() throws {
        #expect(status { try locate(["--server", "https://other"], files: everything) } == .notAllowed)
        let environment = ["ROOST_SERVER": "https://env", "ROOST_TOKEN": "env-token"]
        #expect(status { try locate(["--server", "https://other"], environment, files: [:]) } == .notAllowed)
        #expect(try locate(["--server", "https://env/"], environment, files: [:]).token == "env-token")
        #expect(try locate(["--server", "https://lab:7080"], files: everything).token == "lab-token")
        #expect(try locate(["--server", "http://127.0.0.1:7080"], files: everything).token == "local-token")
    }

    @Test func `no server, no token, no context and a file that may not be read have a status each`() {
        #expect(status { try locate(files: [:]) } == .unreachable)
        #expect(status { try locate([], ["ROOST_SERVER": "https://env"], files: [:]) } == .notAllowed)
        #expect(status { try locate(["--context", "none"], files: everything) } == .usage)
        #expect(status { try locate(files: ["/var/lib/roost/client.json": "DENIED"]) } == .notAllowed)
        #expect(status { try locate(files: [".roost/server/client.json": "{}"]) } == .usage)
        #expect(status { try locate(files: ["/home/me/.config/roost/config.yaml": "a: [b"]) } == .usage)
        #expect(status { try locate(["--server", "http://h1", "--token", "t"], files: [:]) } == .usage)
    }

    @Test func `a configuration file with a current context that it has not got says which it has`() {
        let text = configuration.replacing("current: prod", with: "current: gone")
        let error = #expect(throws: CommandFailure.self) {
            try locate(files: ["/home/me/.config/roost/config.yaml": text])
        }
        #expect(error?.hint == "it has lab, prod")
    }
}
