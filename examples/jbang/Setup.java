// What JBang needs to run the examples and puzzles, without an SDK; each names this file in its first line.
//JAVA 25+
//DEPS org.tornadoattention:tornado-attention-tools:0.1.0-SNAPSHOT
//DEPS org.tornadoattention:tornado-attention-simulator:0.1.0-SNAPSHOT
//JAVAC_OPTIONS -g
//RUNTIME_OPTIONS --enable-native-access=ALL-UNNAMED
//RUNTIME_OPTIONS --add-modules=jdk.incubator.vector
//RUNTIME_OPTIONS -Dtornadoattention.simulator.localMemory=232448
