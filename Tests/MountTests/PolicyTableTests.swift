import CSyscalls
import Glibc
import Testing

extension MountTests {
    /// Every row and column of the table of DESIGN 3.1, by real system calls, on files that were there before the
    /// mount and on files sealed
    /// through it.
    @Suite("No-delete policies") struct PolicyTableTests {
        static let content = Array("the sealed bytes of the victim, long enough to be cut\n".utf8)
        static let otherContent = Array("the sealed bytes of the other file\n".utf8)
        static let innerContent = Array("the sealed bytes below a directory\n".utf8)

        enum Origin: String, CaseIterable, Sendable, CustomTestStringConvertible {
            case existedBefore = "existed before"
            case sealedThroughMount = "sealed through the mount"
            var testDescription: String { rawValue }
        }

        /// How the mount is made: what may differ must not matter.
        enum Kind: String, CaseIterable, Sendable, CustomTestStringConvertible {
            case passthrough, splice
            case shared = "allow_other"
            var testDescription: String { rawValue }
        }

        @Test("A sealed file withstands every destructive system call", arguments: Policy.allCases, Kind.allCases)
        func table(policy: Policy, kind: Kind) throws {
            let setup = MountSetup(
                types: [TypeSpecification(name: "data", policy: policy)], passthrough: kind != .splice,
                options: kind == .shared ? ["allow_other"] : [], seconds: 180)
            try withMount(setup) { mounted in
                for origin in Origin.allCases where !(policy == .readOnly && origin == .sealedThroughMount) {
                    for (index, destruction) in Destruction.all.enumerated() {
                        let name = "\(origin == .existedBefore ? "before" : "through")-\(index)"
                        try judge(destruction, policy, origin, name, mounted)
                    }
                }
            }
        }

        private func judge(
            _ destruction: Destruction, _ policy: Policy, _ origin: Origin, _ name: String, _ mounted: Mounted
        ) throws {
            let behind = "\(mounted.backing("data"))/\(name)"
            let root = origin == .existedBefore ? behind : "\(mounted.alias())/\(name)"
            // The kernel may remember that a name was missing for as long as the entry timeout: these are new names
            // each time.
            for directory in [root, "\(root)/empty", "\(root)/full"] { Sys.mkdir(directory) }
            try Sys.write("\(root)/victim", Self.content)
            try Sys.write("\(root)/other", Self.otherContent)
            try Sys.write("\(root)/full/inner", Self.innerContent)

            let victim = Destruction.Victim(root: "\(mounted.alias())/\(name)")
            let outcome = try destruction.attempt(victim)
            let label = "\(policy.rawValue), \(origin.rawValue), \(destruction.description)"
            demand(destruction.allowed(policy).contains(outcome), "\(label) answered \(outcome)")

            guard policy != .keepNames || destruction.row != .overwrite else { return }
            try expectNothingLost(behind, label, appended: destruction.row == .append && outcome.succeeded)
            if policy != .keepVersions {
                try expectUnchanged(behind, label, appended: destruction.row == .append && outcome.succeeded)
            }
        }

        /// Every sealed byte is there, live or as a version.
        private func expectNothingLost(_ behind: String, _ label: String, appended: Bool) throws {
            let backing = behind.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" }
            let name = behind.split(separator: "/").last ?? ""
            let live = try Kept.contents(behind)
            let versionRoot = "\(backing)/.fxversions/\(name)"
            let versions = Sys.exists(versionRoot) ? try Kept.contents(versionRoot) : []
            for content in [Self.content, Self.otherContent, Self.innerContent] {
                let found =
                    live.contains(content) || versions.contains(content)
                    || (appended && live.contains { $0.starts(with: content) })
                #expect(found, "\(label) lost bytes: \(String(decoding: content, as: UTF8.self))")
            }
        }

        /// A strict policy leaves names and bytes as they were.
        private func expectUnchanged(_ behind: String, _ label: String, appended: Bool) throws {
            let now = try Sys.read("\(behind)/victim")
            #expect(appended ? now.starts(with: Self.content) : now == Self.content, "\(label) changed the file")
            #expect(Sys.exists("\(behind)/empty") && Sys.exists("\(behind)/full/inner"), "\(label) removed a name")
        }

        @Test("What an ordinary user's mount has sealed survives that user's tools", .root)
        func ordinaryUser() throws {
            try withMount(MountSetup(account: .nobody)) { mounted in
                let script = """
                    cd '\(mounted.alias())'
                    mkdir full; printf 'sealed one' > f; printf 'sealed two' > full/g; printf 'sealed three' > h
                    ! rm f 2> /dev/null
                    ! rm -rf full 2> /dev/null
                    ! rmdir full 2> /dev/null
                    printf new > f
                    printf newer > new; mv -f new full/g
                    truncate -s 3 h
                    git init -q r; cd r; echo text > a; git add a; git commit -qm first; echo more >> a; git commit -qam second
                    git fsck --no-progress
                    """
                try sh(script, account: .nobody)
                let kept = try Kept.contents(mounted.backing("data"))
                for content in ["sealed one", "sealed two", "sealed three", "new", "newer", "sea"] {
                    #expect(kept.contains(Array(content.utf8)), "\(content) is lost")
                }
                let debris = try Kept.debris(mounted.backing("data"))
                #expect(debris == [])
            }
        }

        @Test("A new file is a draft of its creator in every policy that takes files", arguments: Policy.allCases)
        func drafts(policy: Policy) throws {
            try withMount(MountSetup(types: [TypeSpecification(name: "data", policy: policy)])) { mounted in
                let path = "\(mounted.alias())/draft"
                if policy == .readOnly {
                    #expect(Sys.opening(path, O_WRONLY | O_CREAT) == .readOnly)
                    #expect(Sys.mkdir(path) == .readOnly)
                    #expect(Outcome(cs_symlink("x", path)) == .readOnly)
                    #expect(Outcome(cs_mkfifo(path, 0o600)) == .readOnly)
                    return
                }
                let file = try Sys.open(path, O_RDWR | O_CREAT | O_EXCL)
                #expect(file.write("0123456789") == .ok)
                #expect(file.truncate(4) == .ok)
                #expect(file.write([0x41], at: 0) == .ok)
                #expect(file.close() == .ok)
                #expect(try Sys.text(path) == "A123")
                #expect(Sys.unlink(path) == .notPermitted, "closed is sealed")
            }
        }

        @Test("A refusal is an event that says who, what and why")
        func refusalIsAnEvent() throws {
            try withMount { mounted in
                try Sys.write("\(mounted.alias())/kept", "bytes")
                #expect(Sys.unlink("\(mounted.alias())/kept") == .notPermitted)
                let told = try waitUntil(seconds: 5) {
                    try Sys.text("\(mounted.control)/events.jsonl").contains("kept")
                }
                let events = try Sys.text("\(mounted.control)/events.jsonl")
                #expect(told, "events: \(events.suffix(500))")
                let line = events.split(separator: "\n").last { $0.contains("kept") } ?? ""
                for fact in ["pid", "uid", "unlink", "rule"] { demand(line.contains(fact), "\(fact) in \(line)") }
            }
        }

        @Test("Exchange, rename away and parent moves keep the rule with the inode")
        func ruleFollows() throws {
            try withMount { mounted in
                let root = mounted.alias()
                Sys.mkdir("\(root)/a")
                try Sys.write("\(root)/a/f", "one")
                #expect(Sys.rename("\(root)/a", "\(root)/b") == .ok)
                #expect(Sys.unlink("\(root)/b/f") == .notPermitted)
                #expect(Sys.link("\(root)/b/f", "\(root)/g") == .ok)
                #expect(Sys.unlink("\(root)/g") == .notPermitted || !Sys.exists("\(root)/g"), "a second name")
                try Sys.write("\(root)/g", "two")
                #expect(
                    try Kept.contents(mounted.backing("data")).contains(Array("one".utf8)),
                    "written through the other name")
            }
        }
    }
}
