import CSyscalls
import Glibc
import Testing

extension MountTests {
    /// Everyday tools in a `keep-versions` type: all succeed and leave no debris.
    @Suite("Everyday tools") struct ToolTests {
        static let tree = """
            mkdir -p src/a/b src/empty
            for i in $(seq 1 60); do head -c $((i * 137)) /dev/urandom > src/a/f$i; done
            echo text > 'src/a/b/with space'; ln -s ../f1 src/a/b/link; chmod 750 src/a/b; touch -d '2020-02-02 02:02:02' src/a/f1
            truncate -s 100000 src/sparse; ln src/a/f2 src/hard
            """

        private func inType(
            _ label: String, passthrough: Bool = true, location: SourceLocation = #_sourceLocation,
            _ body: (Mounted, String) throws -> Void
        ) throws {
            let types = [
                TypeSpecification(name: "data", place: .disk), TypeSpecification(name: "second", place: .disk),
            ]
            try withMount(MountSetup(types: types, passthrough: passthrough, seconds: 180), location: location) {
                mounted in
                try body(mounted, mounted.alias())
                let debris = try Kept.debris(mounted.backing("data"))
                #expect(debris == [], "\(label) left debris", sourceLocation: location)
            }
        }

        @Test("git init, add, commit, gc and fsck", arguments: [true, false])
        func git(passthrough: Bool) throws {
            try inType("git", passthrough: passthrough) { _, root in
                try sh(
                    """
                    git init -q repo; cd repo
                    \(Self.tree)
                    git add -A; git commit -qm one
                    for i in 1 2 3; do echo "$i" >> src/a/f1; git commit -qam "change $i"; done
                    git branch side; git tag -m first v1; git stash list; echo side > src/side; git add -A; git commit -qm side
                    git -c gc.auto=1 -c gc.autoDetach=false gc --auto --quiet
                    git gc --quiet
                    git fsck --full --strict; git status --porcelain
                    """, in: root, seconds: 120)
                let status = try sh("git status --porcelain", in: "\(root)/repo")
                #expect(status.output == "")
                #expect(!Sys.exists("\(root)/repo/.git/index.lock"))
            }
        }

        @Test("The second rsync -a sends nothing")
        func rsyncTwice() throws {
            try inType("rsync") { mounted, root in
                try sh(Self.tree, in: mounted.base)
                try sh("rsync -aH src/ '\(root)/copy/'", in: mounted.base)
                let second = try sh("rsync -aHi --stats src/ '\(root)/copy/'", in: mounted.base)
                demand(second.output.contains("Number of regular files transferred: 0"), "\(second)")
                #expect(!second.lines.contains { $0.hasPrefix(">f") || $0.hasPrefix("<f") }, "\(second)")
                try sh("diff -r --no-dereference src '\(root)/copy'", in: mounted.base)
                let temporary = try Sys.files(below: mounted.backing("data")).filter {
                    $0.split(separator: "/").last?.hasPrefix(".f") == true
                }
                #expect(temporary == [])
            }
        }

        @Test("rsync again after a change, and rsync --inplace, keep the old content")
        func rsyncInplace() throws {
            try inType("rsync --inplace") { mounted, root in
                try sh(Self.tree, in: mounted.base)
                try sh("rsync -a --inplace src/ '\(root)/copy/'; cp src/a/f50 before", in: mounted.base)
                try sh(
                    "echo change >> src/a/f50; rsync -a --inplace --no-whole-file src/ '\(root)/copy/'",
                    in: mounted.base)
                try sh(
                    "echo more > src/a/f51; rsync -a src/ '\(root)/copy/'; diff -r src '\(root)/copy'", in: mounted.base
                )
                let old = try Sys.read("\(mounted.base)/before")
                demand(try Kept.contents(mounted.backing("data")).contains(old))
            }
        }

        @Test("vim saves, with and without backup files")
        func vim() throws {
            try inType("vim") { mounted, root in
                try Sys.write("\(root)/note.txt", "one\n")
                for options in ["set nobackup", "set backup", "set backupcopy=yes", "set backupcopy=no writebackup"] {
                    try sh(
                        "vim -Nu NONE -i NONE -n -es -c '\(options)' -c '%s/$/ x/' -c wq note.txt </dev/null; rm -f note.txt~",
                        in: root)
                }
                try sh("vim -Nu NONE -i NONE -es -c 'set swapfile' -c 'put =0' -c wq note.txt </dev/null", in: root)
                #expect(try Sys.text("\(root)/note.txt").hasPrefix("one x x x x"))
                demand(try Kept.contents(mounted.backing("data")).contains(Array("one\n".utf8)))
            }
        }

        @Test("sed -i replaces and the old text is a version")
        func sed() throws {
            try inType("sed") { mounted, root in
                try Sys.write("\(root)/f.conf", "alpha\n")
                try sh("sed -i s/alpha/beta/ f.conf; sed -i s/beta/gamma/ f.conf", in: root)
                #expect(try Sys.text("\(root)/f.conf") == "gamma\n")
                let kept = try Kept.contents(mounted.backing("data"))
                demand(kept.isSuperset(of: [Array("alpha\n".utf8), Array("beta\n".utf8)]))
                #expect(try Sys.list(root) == ["f.conf"])
            }
        }

        @Test(
            "sqlite creates, inserts and vacuums", arguments: ["delete", "truncate", "persist", "wal"], [true, false])
        func sqlite(journal: String, passthrough: Bool) throws {
            try inType("sqlite", passthrough: passthrough) { _, root in
                let script = """
                    sqlite3 t.db "PRAGMA journal_mode=\(journal); CREATE TABLE t(a INTEGER PRIMARY KEY, b BLOB);" >/dev/null
                    for i in 1 2 3; do
                      sqlite3 t.db "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<500)
                                    INSERT INTO t(b) SELECT randomblob(200) FROM n;"
                    done
                    sqlite3 t.db "DELETE FROM t WHERE a % 3 = 0; VACUUM;"
                    sqlite3 t.db "PRAGMA integrity_check; SELECT count(*) FROM t; PRAGMA journal_mode=delete;"
                    """
                let finished = try sh(script, in: root)
                #expect(finished.lines.prefix(2) == ["ok", "1000"], "\(finished)")
                // A persistent journal is what was asked for, not debris.
                if journal == "persist" { _ = Sys.unlink("\(root)/t.db-journal") }
            }
        }

        @Test("tar x, unzip, cp -a and diff -r")
        func archives() throws {
            try inType("archives") { mounted, root in
                try sh("\(Self.tree)\ntar cf t.tar src; zip -qr t.zip src", in: mounted.base)
                try sh(
                    "mkdir tar zip; tar xpf '\(mounted.base)/t.tar' -C tar; unzip -q '\(mounted.base)/t.zip' -d zip",
                    in: root)
                try sh("cp -a '\(mounted.base)/src' copied; cp -a tar/src inside", in: root)
                for copy in ["tar/src", "copied", "inside"] {
                    try sh("diff -r --no-dereference '\(mounted.base)/src' \(copy)", in: root)
                }
                // Links are followed into the archive: unzip makes a link by removing a file it has closed, which is
                // refused.
                try sh("diff -r '\(mounted.base)/src' zip/src", in: root)
                try sh(
                    "tar xpf '\(mounted.base)/t.tar' -C tar --overwrite --exclude='*/link'; diff -r '\(mounted.base)/src' tar/src",
                    in: root)
                #expect(try Sys.status("\(root)/copied/a/f1").mtime == Sys.status("\(mounted.base)/src/a/f1").mtime)
                #expect(try Sys.status("\(root)/copied/hard").links == 2)
            }
        }

        @Test("mv inside a type and between types")
        func move() throws {
            try inType("mv") { mounted, root in
                try sh("mkdir d; echo 1 > a; mv a b; mv b d/; mv d e; cat e/b", in: root)
                let second = mounted.alias("second")
                try sh("echo moved > m; mkdir md; echo in > md/n; mv m '\(second)/'; mv md '\(second)/'", in: root)
                #expect(try Sys.text("\(second)/m") == "moved\n")
                #expect(try Sys.text("\(second)/md/n") == "in\n")
                try sh("echo outside > '\(mounted.base)/o'; mv '\(mounted.base)/o' here; cat here", in: root)
                let all = try Kept.contents(mounted.backing("data")).union(Kept.contents(mounted.backing("second")))
                #expect(
                    all.isSuperset(of: [
                        Array("1\n".utf8), Array("moved\n".utf8), Array("in\n".utf8), Array("outside\n".utf8),
                    ]))
            }
        }

        @Test("Shell redirections: >, >>, pipelines, groups and dd")
        func redirections() throws {
            try inType("shell") { _, root in
                let finished = try sh(
                    """
                    echo a > f; echo b >> f; (echo c; echo d) >> f; { echo e; /bin/echo g; } | cat >> f; cat f | tr -d '\\n'
                    dd if=/dev/zero of=z bs=64k count=16 conv=fsync status=none; stat -c %s z
                    tee t < f > /dev/null; cmp f t; split -b 4 f part.; cat part.?? | cmp - f
                    """, in: root)
                #expect(finished.lines == ["abcdeg1048576"], "\(finished)")
            }
        }

        @Test("A save the way LibreOffice and GNOME do it")
        func atomicSaves() throws {
            try inType("office") { mounted, root in
                try Sys.write("\(root)/doc.odt", "old")
                try Sys.write("\(root)/.~lock.doc.odt#", "lock")
                try Sys.write("\(root)/.goutputstream-XY12Z3", "new")
                #expect(Sys.rename("\(root)/.goutputstream-XY12Z3", "\(root)/doc.odt") == .ok)
                #expect(Sys.unlink("\(root)/.~lock.doc.odt#") == .ok)
                #expect(try Sys.text("\(root)/doc.odt") == "new")
                #expect(try Sys.list(root) == ["doc.odt"])
                demand(try Kept.contents(mounted.backing("data")).contains(Array("old".utf8)))
            }
        }
    }
}
