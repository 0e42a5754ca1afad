import Domain
import HostAgent
import Testing

@testable import LibvirtHypervisor

@Suite struct ArrivalXMLTests {
    private func migration(_ boot: BootFiles) -> DomainMigration {
        DomainMigration(
            vm: sampleVM, arrivalEpoch: Epoch(8),
            landing: MigrationLanding(
                address: "a", port: 1, domainType: "qemu", boot: boot, consoleLog: "/there/<1>.log",
                socketDirectory: "/s"),
            options: MigrationOptions(), sockets: MigrationSockets(directory: "/s"))
    }

    private func source(_ boot: BootFiles = .kernel(kernel: "/pool/k", initrd: "/pool/i", commandLine: "a")) -> String {
        DomainXML(spec: sampleSpec(boot: boot), type: .qemu).text
    }

    /// The lines that differ.
    private func changes(_ before: String, _ after: String) -> [String] {
        let (old, new) = (before.split(separator: "\n"), after.split(separator: "\n"))
        #expect(old.count == new.count)
        return zip(old, new).filter { $0 != $1 }.map { String($1).filter { $0 != " " } }
    }

    @Test func `a guest that boots a kernel finds the destination's own files, and its new epoch`() throws {
        let boot = BootFiles.kernel(kernel: "/there/k", initrd: "/there/i", commandLine: "ignored")
        let text = try ArrivalXML(migration(boot)).text(from: source())
        #expect(
            changes(source(), text) == [
                "<metadata><roost:vmxmlns:roost=\"https://roost.dev/domain/1\"id=\"\(sampleVM)\"epoch=\"8\"/></metadata>",
                "<kernel>/there/k</kernel>", "<initrd>/there/i</initrd>",
                "<sourcepath='/there/&lt;1&gt;.log'append='on'/>",
            ])
    }

    @Test func `only the disk's own file is replaced, and every place that names the console log`() throws {
        let console = """
            <console type='file'><source path='/var/console/1.log' append='on'/></console>
            <disk><source file='/pool/other.qcow2'/></disk>

            """
        let before = source(.disk("/pool/d.qcow2")) + console
        let text = try ArrivalXML(migration(.disk("/there/d.qcow2"))).text(from: before)
        #expect(
            changes(before, text) == [
                "<metadata><roost:vmxmlns:roost=\"https://roost.dev/domain/1\"id=\"\(sampleVM)\"epoch=\"8\"/></metadata>",
                "<sourcefile='/there/d.qcow2'/>", "<sourcepath='/there/&lt;1&gt;.log'append='on'/>",
                "<consoletype='file'><sourcepath='/there/&lt;1&gt;.log'append='on'/></console>",
            ])
    }

    @Test func `others' metadata beside Roost's own stays`() throws {
        let before = source().replacing(
            "<metadata>", with: "<metadata><app:note xmlns:app='https://example.org/'>epoch=\"7\"</app:note>")
        let text = try ArrivalXML(migration(.kernel(kernel: "/k", initrd: "/i", commandLine: ""))).text(from: before)
        #expect(text.contains("<app:note xmlns:app='https://example.org/'>epoch=\"7\"</app:note>"))
        #expect(text.contains("epoch=\"8\"/>"))
    }

    @Test(arguments: ["metadata", "id=\"\(sampleVM)\"", "<kernel>", "<source path="])
    func `what is not of Roost's making is refused`(missing: String) {
        let broken = source().replacing(missing, with: "<x>").replacing(
            "https://roost.dev/domain/1", with: missing == "metadata" ? "y" : "https://roost.dev/domain/1")
        #expect(throws: ArrivalXML.Unsuitable.self) {
            try ArrivalXML(migration(.kernel(kernel: "/k", initrd: "/i", commandLine: ""))).text(from: broken)
        }
    }
}
