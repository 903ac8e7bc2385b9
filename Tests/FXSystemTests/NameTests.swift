import Testing

@testable import FXSystem

@Suite struct NameTests {
    @Test func exactlyTheBytesLinuxAllowsAreAName() {
        var random = SeededGenerator()
        for _ in 0..<50_000 {
            let bytes = random.bytes(upTo: 6)
            let isName =
                !bytes.isEmpty && bytes != [0x2e] && bytes != [0x2e, 0x2e] && !bytes.contains(0)
                && !bytes.contains(0x2f)
            let name = try? Name(validating: bytes)
            #expect((name != nil) == isName, "\(bytes)")
            if let name {
                #expect(Array(name.bytes) == bytes)
                #expect(name.count == bytes.count)
                let copied = name.withCString { try? Name(copying: $0) }
                #expect(copied == name)
            }
        }
    }

    @Test func aNameHasAtMost255Bytes() throws {
        #expect(try Name(validating: [UInt8](repeating: 0xff, count: 255)).count == 255)
        #expect(throws: NameError.tooLong(256)) { try Name(validating: [UInt8](repeating: 0x41, count: 256)) }
    }

    @Test(arguments: [
        ("", NameError.empty), (".", .dots), ("..", .dots), ("a\0b", .nul), ("a/b", .slash), ("/", .slash),
    ])
    func whatIsNoNameSaysWhy(text: String, error: NameError) {
        #expect(throws: error) { try Name(text) }
    }

    @Test func aConstantIsAlwaysAName() {
        #expect(Name(constant: "..").description == "_")
        #expect(Name(constant: ".").description == "_")
        #expect(Name(constant: "").description == "_")
        #expect(Name(constant: "a/b").description == "a_b")
        #expect(Name(constant: "plain").description == "plain")
    }

    @Test func namesSortByByte() throws {
        let names = try [[0xff], [0x61], [0x61, 0x61], [0x5a], [0xc3, 0xa9]].map { try Name(validating: $0) }
        #expect(names.sorted().map { Array($0.bytes) } == [[0x5a], [0x61], [0x61, 0x61], [0xc3, 0xa9], [0xff]])
    }

    @Test func aPathIsItsNamesAndNothingLeadsOutOfIt() {
        var random = SeededGenerator()
        for _ in 0..<50_000 {
            let bytes = random.bytes(upTo: 9)
            let parts =
                bytes.isEmpty ? [] : bytes.split(separator: 0x2f, omittingEmptySubsequences: false).map(Array.init)
            let areNames = parts.allSatisfy { (try? Name(validating: $0)) != nil }
            let path = try? RelativePath(validating: bytes)
            #expect((path != nil) == areNames, "\(bytes)")
            guard let path else { continue }
            #expect(path.bytes == bytes)
            #expect(path.components.map { Array($0.bytes) } == parts)
            #expect(path.isRoot == bytes.isEmpty)
            if let name = path.name { #expect(path.parent.appending(name) == path) }
            #expect(path.isWithin(path.parent) && path.isWithin(RelativePath()))
        }
    }

    @Test func withinIsByNameAndNotByPrefixOfBytes() throws {
        #expect(try !RelativePath("ab").isWithin(RelativePath("a")))
        #expect(try RelativePath("a/b").isWithin(RelativePath("a")))
        #expect(try !RelativePath("a").isWithin(RelativePath("a/b")))
        #expect(try RelativePath("a") < RelativePath("a/b"))
    }

    @Test func whatIsDisplayedCannotDeceiveATerminalAndTellsAllOddBytesApart() {
        var random = SeededGenerator()
        for _ in 0..<50_000 {
            let shown = displayed(random.bytes(upTo: 8))
            for scalar in shown.unicodeScalars {
                #expect(scalar.value >= 0x20 && scalar.value != 0x7f && scalar.value != 0x202e)
            }
        }
        #expect(displayed(Array("plain é".utf8)) == "plain é")
        #expect(displayed([0x1b, 0x5b]) == "\\x1b[")
        #expect(displayed([0xe2, 0x80, 0xae]) == "\\xe2\\x80\\xae")
        #expect(displayed([0xc3, 0xa9, 0xff]) == "\\xc3\\xa9\\xff")
        #expect(displayed([0x0a]) == "\\x0a")
    }
}
