import Domain
import Testing

@testable import LibvirtHypervisor

@Suite struct DomainMetadataTests {
    private let metadata = DomainMetadata(vm: sampleVM, epoch: Epoch(7))

    @Test func `what is written is read back`() {
        #expect(DomainMetadata(element: metadata.element) == metadata)
    }

    @Test(arguments: [
        "<vm id=\"\(sampleVM)\" epoch=\"7\"/>", "<vm epoch='7' id='\(sampleVM)' />\n",
        "  <vm id='\(sampleVM)'\n  epoch='7'></vm>",
        "<roost:vm xmlns:roost='x' id='\(sampleVM)' epoch='7'> </roost:vm >",
    ])
    func `an element is read in each form that libvirt may give it`(element: String) {
        #expect(DomainMetadata(element: element) == metadata)
    }

    @Test(arguments: [
        "", "<vm/>", "vm id='\(sampleVM)' epoch='7'", "<vm id='\(sampleVM)'/>", "<vm id='\(sampleVM)' epoch='7'",
        "<vm id='\(sampleVM)' epoch='7>", "<vm id='\(sampleVM)' epoch=''/>", "<vm id='\(sampleVM)' epoch='0'/>",
        "<vm id='\(sampleVM)' epoch='-7'/>", "<vm id='\(sampleVM)' epoch='+7'/>", "<vm id='\(sampleVM)' epoch='07'/>",
        "<vm id='\(sampleVM)' epoch='7.0'/>", "<vm id='\(sampleVM)' epoch='99999999999999999999'/>",
        "<vm id='\(sampleVM)' epoch='7' epoch='8'/>", "<vm id='3F2B9C1E-0000-4000-8000-0123456789AB' epoch='7'/>",
        "<vm id='x' epoch='7'/>", "<vm id='\(sampleVM)'epoch='7'/>", "<vm id='\(sampleVM)' epoch='7'/><vm/>",
        "<vm id='\(sampleVM)' epoch='7'>text</vm>", "<other id='\(sampleVM)' epoch='7'/>",
        "<vm id='\(sampleVM)' epoch='&#55;'/>",
    ])
    func `anything else has no epoch`(element: String) {
        #expect(DomainMetadata(element: element) == nil)
    }
}
