// SPDX-License-Identifier: GPL-2.0-or-later
//
// egraff_cpp_tests          prints the names of all tests
// egraff_cpp_tests NAME     runs one; its status tells whether it passed
#include "tests/check.h"

#include <cstdio>
#include <string>

int main(int argc, char **argv) {
    for (const auto &test : egraff::tests::all_tests()) {
        if (argc < 2) {
            std::printf("%s\n", test.name);
        } else if (argv[1] == std::string(test.name)) {
            const std::string message = egraff::tests::message_of(test.run);
            std::printf("%s\n", message.c_str());
            return message == "no error" ? 0 : 1;
        }
    }
    return argc < 2 ? 0 : 2; // no such test
}
