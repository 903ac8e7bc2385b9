import FXSystem
import SystemPackage
import Testing

@testable import FXMapping

@Suite struct ValueTests {
    @Test(arguments: [
        "", ".", "..", ".hidden", "a/b", "a\u{0}b", "a\nb", "a\u{202e}b", "a\u{2028}b",
        String(repeating: "x", count: 256),
    ])
    func aNameThatCouldDeceiveOrEscapeIsRefused(text: String) {
        #expect(throws: MappingError.self) { try EntityName(text) }
        #expect(throws: MappingError.self) { try TypeName(text) }
        #expect(throws: MappingError.self) { try ApplicationID(text) }
    }

    @Test(arguments: ["a", "Ünïcode", "with space", "a.b", "@", String(repeating: "x", count: 255)])
    func anOrdinaryNameIsTaken(text: String) throws {
        #expect(try EntityName(text).text == text)
    }

    @Test func namesAreComparedByTheirBytes() throws {
        #expect(try EntityName("\u{e9}") != EntityName("e\u{301}"))
    }

    @Test func strictnessIsAPartialOrder() {
        for a in Policy.allCases {
            #expect(a.isAtLeastAsStrict(as: a))
            for b in Policy.allCases where a != b {
                let areEqual = a.isAtLeastAsStrict(as: b) && b.isAtLeastAsStrict(as: a)
                #expect(!areEqual)
                for c in Policy.allCases where a.isAtLeastAsStrict(as: b) && b.isAtLeastAsStrict(as: c) {
                    #expect(a.isAtLeastAsStrict(as: c))
                }
            }
        }
    }

    @Test func keepNamesAndKeepVersionsProtectDifferentThings() {
        #expect(!Policy.keepNames.isAtLeastAsStrict(as: .keepVersions))
        #expect(!Policy.keepVersions.isAtLeastAsStrict(as: .keepNames))
        #expect(Policy.appendOnly.isAtLeastAsStrict(as: .keepVersions))
        #expect(Policy.appendOnly.isAtLeastAsStrict(as: .keepNames))
        #expect(Policy.writeOnce.isAtLeastAsStrict(as: .appendOnly))
        #expect(Policy.readOnly.isAtLeastAsStrict(as: .writeOnce))
    }

    @Test func theErrnoOfAnErrorIsInTheTable() throws {
        #expect(MappingError.weakerPolicy(from: .readOnly, to: .keepNames).errno == .notPermitted)
        #expect(MappingError.noSuchEntity(try EntityName("e")).errno == .noSuchFileOrDirectory)
        #expect(MappingError.database(code: 5, message: "").errno == .resourceBusy)
        #expect(MappingError.database(code: 13, message: "").errno == .noSpace)
        #expect(MappingError.invalidName(.type, "", .tooLong(256)).errno == .fileNameTooLong)
    }
}
